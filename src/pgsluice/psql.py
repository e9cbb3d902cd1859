"""psql: where it is, and a URL for it that carries no password."""

import os
import shutil
from urllib.parse import unquote, urlsplit, urlunsplit

from .binaries import EmbeddedError, find
from .settings import Settings


def program(settings: Settings) -> str:
    """psql beside the server's programs, else the one on PATH."""
    if settings.database_url is None:
        beside = find(settings.pg_bin).bindir / "psql"
        if beside.exists():
            return str(beside)
    if found := shutil.which("psql"):
        return found
    if (beside := find(settings.pg_bin).bindir / "psql").exists():
        return str(beside)
    raise EmbeddedError("no psql found: install postgresql-client")


def without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """The URL, and an environment that carries its password where `ps` does not show it."""
    parts = urlsplit(dsn)
    if not parts.password:
        return dsn, dict(os.environ)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}"
    return urlunsplit(parts._replace(netloc=netloc)), {
        **os.environ,
        "PGPASSWORD": unquote(parts.password),
    }
