"""What anyone may do where nobody has to show a key: SLUICE_ANONYMOUS."""

from litestar.handlers import BaseRouteHandler

from ..errors import ProblemError
from .service import AnyConnection, service_of

_NEEDED = {
    "exports": {"export"},
    "imports": {"import"},
    "jobs": {"import"},
    # one can be made to do either, at any time, by whoever may see it
    "schedules": {"import", "export"},
}


def guard(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Refuse (403) imports or exports that SLUICE_ANONYMOUS, when it is set, does not name."""
    settings = service_of(connection).settings
    route = connection.scope["path"].removeprefix(f"/{settings.api_prefix}/").split("/")[0]
    needed = _NEEDED.get(route, set())
    if settings.anonymous and not needed <= set(settings.anonymous.split(",")):
        raise ProblemError(
            403, f"this service is open for {settings.anonymous} only: see SLUICE_ANONYMOUS"
        )
