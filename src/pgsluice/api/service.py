"""What every handler works with: settings, pools, and the count of uploads under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection

from ..counting import Counts
from ..database import Error, Pool, call, problem_of
from ..errors import busy
from ..logins import Logins
from ..replica import Replica
from ..settings import Settings
from ..store import Store
from ..work.news import News
from .watch import State, Watches

RUNNING = ("receiving", "pending", "processing")

AnyConnection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
AnyRequest: TypeAlias = Request[Any, Any, Any]


@dataclass
class Service:
    """The parts of a running service; uploads and downloads have pools of their own."""

    settings: Settings
    pool: Pool
    uploads: Pool
    downloads: Pool
    replica: Replica
    news: News
    uploading: int = 0
    counts: Counts = field(default_factory=Counts)
    closing: bool = False
    watches: Watches = field(init=False)
    store: Store = field(init=False)
    logins: Logins = field(init=False)

    def __post_init__(self) -> None:
        self.watches = Watches(self.news, self._look)
        self.store = Store(self.settings.store)
        self.logins = Logins(self.settings)

    def close(self) -> None:
        """Let go of those who wait for jobs: the service is about to stop."""
        self.closing = True
        self.watches.close()
        self.news.tell_all()

    @contextmanager
    def upload_slot(self) -> Iterator[None]:
        """A place among the uploads under way; 503 when there is none left."""
        if self.uploading >= self.settings.max_uploads:
            raise busy("uploads")
        self.uploading += 1
        try:
            yield
        finally:
            self.uploading -= 1

    async def ask(self, name: str, /, **args: Any) -> Any:
        """One call of a function in a transaction of its own."""
        async with self.pool.connection() as conn:
            return await call(conn, name, **args)

    def path(self, *parts: object) -> str:
        """A path under the API's prefix."""
        return "/".join(("", self.settings.api_prefix, *map(str, parts)))

    async def job(self, job_id: UUID) -> dict[str, Any]:
        """The job as it is now."""
        found: dict[str, Any] = await self.ask("job_json", job_id=job_id)
        return found

    async def _look(self, job_id: UUID) -> State | None:
        try:
            progress = await self.ask("job_progress", job_id=job_id)
            if progress["status"] in RUNNING:
                return State(progress, ended=False)
            return State(await self.job(job_id), ended=True)
        except Error as exc:
            if problem_of(exc).status == 404:
                return None
            raise


def service_of(request: AnyConnection) -> Service:
    """The service that this request came to."""
    service: Service = request.app.state["service"]
    return service
