"""What anyone may do where nobody has to show a key: SLUICE_ANONYMOUS."""

from litestar.handlers import BaseRouteHandler

from ..errors import ProblemError
from .service import AnyConnection, service_of


def guard(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Refuse (403) imports or exports that SLUICE_ANONYMOUS, when it is set, does not name."""
    settings = service_of(connection).settings
    route = connection.scope["path"].removeprefix(f"/{settings.api_prefix}/").split("/")[0]
    needed = {"exports": "export", "imports": "import", "jobs": "import"}.get(route)
    if settings.anonymous and needed and needed not in settings.anonymous.split(","):
        raise ProblemError(
            403, f"this service is open for {settings.anonymous} only: see SLUICE_ANONYMOUS"
        )
