"""Who asks, and what they may do: API keys, their scopes and rates, SLUICE_ANONYMOUS."""

import hashlib
import re
from urllib.parse import urlsplit

from litestar.handlers import BaseRouteHandler

from ..database import Caller, acting
from ..errors import ProblemError
from ..settings import api_keys, is_loopback
from .profile import choose
from .query import parse_id
from .service import AnyConnection, Service, service_of

SCOPES = frozenset(("import", "export", "admin"))

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="pgsluice"'}
_CREDENTIALS = re.compile(r"\s*(?:bearer|token)\s+(\S+)\s*", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
# What a request to a part of the API needs: one of these scopes, if it is named here.
_NEEDED = {
    "imports": {"import"},
    "exports": {"export"},
    "jobs": {"import", "export"},
    "overview": {"import", "export"},
    "schedules": {"import", "export"},
    "keys": {"admin"},
}


async def guard(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Let a request pass that may do what it asks for: 401, 403 or 429 otherwise.

    What runs for it in Postgres then knows whose key it was.
    """
    service = service_of(connection)
    if handler.opt.get("linked") and await _holds_link(connection, service):
        return
    caller = await _caller(connection, service)
    connection.scope["state"]["rate"] = caller.rate
    if caller.rate.get("exceeded"):
        wait = str(caller.rate["reset"])
        detail = f"more than {caller.rate['limit']} requests a minute; try again in {wait} seconds"
        raise ProblemError(429, detail, {"Retry-After": wait})
    route = connection.scope["path"].removeprefix(f"/{service.settings.api_prefix}/").split("/")[0]
    needed = handler.opt.get("scopes") or _NEEDED.get(route)
    if needed and "admin" not in caller.scopes and not _enough(caller, route, needed):
        raise _forbidden(service, caller, needed)
    choose(connection, caller)
    acting.set(caller)


async def _holds_link(connection: AnyConnection, service: Service) -> bool:
    """True for a request by a link that carries its own permission, which needs no key."""
    token = connection.query_params.get("token")
    if token is None:
        return False
    number = parse_id(connection.path_params["job_id"])
    if _TOKEN.fullmatch(token) and await service.ask("link_holds", job_id=number, token=token):
        return True
    if key_of(connection) is None:
        raise ProblemError(403, "this link is not good, or no longer; get the export for a new one")
    return False


def _enough(caller: Caller, route: str, needed: set[str]) -> bool:
    if route == "schedules" and not caller.name:
        # one can be made to do either, at any time; of a key SQL asks what it may
        return needed <= caller.scopes
    return bool(needed & caller.scopes)


def _forbidden(service: Service, caller: Caller, needed: set[str]) -> ProblemError:
    if caller.name:
        may = ", ".join(sorted(caller.scopes))
        wanted = " or ".join(sorted(needed))
        return ProblemError(403, f"this API key may {may}; {wanted} is needed here")
    return ProblemError(
        403, f"this service is open for {service.settings.anonymous} only: see SLUICE_ANONYMOUS"
    )


async def _caller(connection: AnyConnection, service: Service) -> Caller:
    key = key_of(connection)
    if key is None:
        return await _anyone(connection, service)
    digest = hashlib.sha256(key.encode()).hexdigest()
    # Digests are compared, not keys: what their first difference tells helps nobody.
    profile = api_keys(service.settings).get(digest)
    is_known = profile is not None
    found = await service.ask(
        "admit", hash=digest, is_known=is_known, rate_limit=service.settings.rate_limit
    )
    if found["caller"] is None:
        raise ProblemError(401, "this API key is unknown, revoked or expired", _CHALLENGE)
    if is_known:
        return Caller(
            found["caller"],
            name="SLUICE_API_KEYS",
            scopes=SCOPES,
            rate=found["rate"],
            profile=profile or None,
        )
    return Caller(
        found["caller"],
        key_id=found["key_id"],
        name=found["name"],
        scopes=frozenset(found["scopes"]),
        profile=found["profile"],
        login=found["login"],
        has_quota=found["has_quota"],
        rate=found["rate"],
    )


async def _anyone(connection: AnyConnection, service: Service) -> Caller:
    open_for = frozenset(filter(None, service.settings.anonymous.split(",")))
    if open_for:
        _refuse_strange_page(connection)
        return Caller("", scopes=open_for)
    if api_keys(service.settings) or (await service.ask("admit"))["keys_exist"]:
        raise ProblemError(
            401, "an API key is needed: send it as X-API-Key or Authorization: Bearer", _CHALLENGE
        )
    _refuse_strange_page(connection)
    _refuse_strange_host(connection, service.settings.host)
    return Caller("", scopes=SCOPES)


def _refuse_strange_page(connection: AnyConnection) -> None:
    """Refuse what a page of another site had a browser send: nobody showed a key for it."""
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site", "none")
    is_strange = site not in ("none", "same-origin")
    if origin is not None:
        is_strange |= urlsplit(origin).netloc != connection.headers.get("host")
    if is_strange:
        raise ProblemError(
            403, "a page of another site may not use a service without keys; make an API key"
        )


def _refuse_strange_host(connection: AnyConnection, own: str) -> None:
    """Refuse a name that was made to lead to this machine (DNS rebinding)."""
    try:
        name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    except ValueError:
        name = ""
    if name != own and not is_loopback(name):
        raise ProblemError(
            403, f"without API keys this service answers to localhost only, not to {name[:100]!r}"
        )


def key_of(connection: AnyConnection) -> str | None:
    """The key that a request carries, in whichever header; None without one."""
    if (given := connection.headers.get("x-api-key")) is not None:
        return given.strip()
    header = connection.headers.get("authorization")
    if header is None:
        return None
    if found := _CREDENTIALS.fullmatch(header):
        return found[1]
    raise ProblemError(
        401, "Authorization must be Bearer or Token, a space and an API key", _CHALLENGE
    )
