"""Settings: one table. Command-line flags win over the environment, which wins over `.env`."""

import hashlib
import ipaddress
import logging
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from .aliases import find, ignored

log = logging.getLogger("pgsluice.settings")

# What Prisma and its like put into a URL; libpq refuses a parameter that it does not know.
_FOREIGN_PARAMETERS = {
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "schema",
    "socket_timeout",
    "sslaccept",
    "sslidentity",
    "statement_cache_size",
}
# What a message must not repeat.
_SECRET = (
    "api_key",
    "api_keys",
    "database_url",
    "export_database_url",
    "listen_url",
    "logins",
    "metrics_key",
    "webhook_secret",
)


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names it and says what fits."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its default; env_name() gives the variable of each."""

    database_url: Annotated[
        str | None, Meta(description="Postgres to use; without it an embedded one is started")
    ] = None
    listen_url: Annotated[
        str | None,
        Meta(description="direct URL for LISTEN when DATABASE_URL leads through a pooler"),
    ] = None
    export_database_url: Annotated[
        str | None, Meta(description="streaming replica of DATABASE_URL that exports read")
    ] = None
    export_patience: Annotated[
        float,
        Meta(
            ge=0, description="seconds that the replica has to catch up; then the primary is read"
        ),
    ] = 5.0
    pg_bin: Annotated[
        str | None, Meta(description="directory of the Postgres programs for the embedded server")
    ] = None
    data_dir: Annotated[Path, Meta(description="where the embedded server keeps its data")] = Path(
        ".pgsluice"
    )
    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="address to listen on; beyond loopback it wants SLUICE_ANONYMOUS",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="port to listen on; 0 takes a free one")
    ] = 8080
    anonymous: Annotated[
        str,
        Meta(
            pattern=r"^((import|export)(,(import|export))*)?$",
            description="import, export or both: what anyone who reaches the port may do",
        ),
    ] = ""
    api_keys: Annotated[
        str,
        Meta(
            pattern=r"^([^\s,:]{8,}(:(realworld|nest))?(,[^\s,:]{8,}(:(realworld|nest))?)*)?$",
            description="keys of 8 characters or more that may do everything, with commas; "
            "KEY:realworld or KEY:nest replies as that earlier system did",
        ),
    ] = ""
    logins: Annotated[
        str,
        Meta(
            pattern=r"^([a-z_][a-z0-9_]{0,62}=\S+(\s+[a-z_][a-z0-9_]{0,62}=\S+)*)?$",
            description="logins of API keys: name, equals sign, URL; with spaces between them",
        ),
    ] = ""
    rate_limit: Annotated[
        int, Meta(ge=0, description="requests a minute that each API key may send; 0 is no limit")
    ] = 0
    api_prefix: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="first part of the API's paths")
    ] = "v1"
    api_profile: Annotated[
        Literal["", "realworld", "nest"],
        Meta(description="realworld or nest: reply as that earlier system did, unless told else"),
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/?#]+)?$",
            description="scheme and host under which clients reach the service, for links; "
            "none: as the request has it",
        ),
    ] = ""
    worker: Annotated[bool, Meta(description="run the worker inside serve: true or false")] = True
    import_sessions: Annotated[
        int, Meta(ge=1, le=64, description="sessions with which a worker takes steps of imports")
    ] = 2
    sessions_per_import: Annotated[
        int, Meta(ge=0, description="most sessions at once on one import, over all workers; 0: any")
    ] = 0
    batch_rows: Annotated[
        int, Meta(ge=1, le=1_000_000, description="most records that one transaction merges")
    ] = 50_000
    exports: Annotated[
        int, Meta(ge=1, le=64, description="exports to files that a worker carries out at once")
    ] = 2
    fetches: Annotated[
        int, Meta(ge=1, le=64, description="files that a worker fetches at once")
    ] = 2
    max_jobs: Annotated[
        int, Meta(ge=0, description="most imports at once, over all workers; 0 is no limit")
    ] = 10
    pool_size: Annotated[
        int, Meta(ge=2, le=500, description="most connections that the API holds")
    ] = 10
    max_upload_bytes: Annotated[
        int, Meta(ge=0, description="largest upload after decompression, in bytes; 0 is no limit")
    ] = 10 * 1024**3
    max_uploads: Annotated[
        int, Meta(ge=1, description="most uploads at once in one process; more get 503")
    ] = 100
    upload_idle: Annotated[
        int,
        Meta(ge=1, description="seconds in which 1 KB of a request's body must come; else 408"),
    ] = 60
    download_idle: Annotated[
        int,
        Meta(ge=1, description="seconds that a client may read nothing of a reply; then it ends"),
    ] = 600
    max_record_bytes: Annotated[
        int, Meta(ge=1024, le=512 * 1024**2, description="largest single record, in bytes")
    ] = 64 * 1024**2
    stage: Annotated[
        Literal["logged", "unlogged"],
        Meta(description="logged or unlogged: does an accepted upload survive a Postgres crash"),
    ] = "logged"
    idempotency_ttl: Annotated[
        int, Meta(ge=60, description="seconds that an Idempotency-Key lives at least")
    ] = 86400
    job_ttl: Annotated[
        int, Meta(ge=60, description="seconds that a finished job is kept, with its rejects")
    ] = 2592000
    stage_ttl: Annotated[
        int,
        Meta(ge=60, description="seconds that the data of failed and cancelled imports is kept"),
    ] = 259200
    export_ttl: Annotated[
        int, Meta(ge=60, description="seconds that the file of an export can be downloaded")
    ] = 86400
    store: Annotated[
        str,
        Meta(description="where files of exports are kept: a folder, s3://…, gs://… or az://…"),
    ] = ".pgsluice/files"
    downloads: Annotated[
        Literal["proxy", "redirect"],
        Meta(description="proxy or redirect: send a file ourselves, or lead to a presigned URL"),
    ] = "proxy"
    import_dir: Annotated[
        Path | None, Meta(description="folder from which source_path may import; none: nothing")
    ] = None
    url_hosts: Annotated[
        str,
        Meta(
            description="hosts (host or host:port, with commas) that URLs may name, private and "
            "http too; none: any public https address"
        ),
    ] = ""
    fetch_seconds: Annotated[
        int, Meta(ge=1, description="longest time that fetching one file may take, in seconds")
    ] = 3600
    webhook_secret: Annotated[
        str,
        Meta(
            pattern=r"^(whsec_[A-Za-z0-9+/]{16,}={0,2})?$",
            description="whsec_… that signs webhooks; without it the database keeps one",
        ),
    ] = ""
    url: Annotated[
        str, Meta(min_length=1, description="where commands such as import find the service")
    ] = "http://127.0.0.1:8080"
    api_key: Annotated[
        str,
        Meta(pattern=r"^\S*$", description="API key that these commands show to the service"),
    ] = ""
    webhook_backoff: Annotated[
        float,
        Meta(
            gt=0,
            description="seconds until a webhook is tried again first; then 60, 360, 1440 … times",
        ),
    ] = 5.0
    metrics: Annotated[
        Literal["on", "off"], Meta(description="on or off: does GET /metrics answer")
    ] = "on"
    metrics_key: Annotated[
        str,
        Meta(
            pattern=r"^(\S{8,})?$",
            description="key of 8 characters or more that GET /metrics wants; none: open",
        ),
    ] = ""
    log_format: Annotated[
        Literal["json", "text"], Meta(description="json or text: the form of a log line")
    ] = "json"


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return field.upper() if field in ("database_url", "pg_bin") else f"SLUICE_{field.upper()}"


@cache
def api_keys(settings: Settings) -> dict[str, str]:
    """The sha256 (hex) of each of SLUICE_API_KEYS, with its profile or an empty text."""
    entries = (entry.partition(":") for entry in settings.api_keys.split(",") if entry)
    return {hashlib.sha256(key.encode()).hexdigest(): profile for key, _, profile in entries}


def login_urls(settings: Settings) -> dict[str, str]:
    """The URL of each login of SLUICE_LOGINS, by its name."""
    entries = (entry.partition("=") for entry in settings.logins.split())
    return {name: clean_url(url) for name, _, url in entries}


def describe() -> list[tuple[str, str, str]]:
    """Variable, default and meaning of every setting, in the order of the table."""
    hints = get_type_hints(Settings, include_extras=True)
    return [
        (
            env_name(field.name),
            "" if field.default is None else _text(field.default),
            hints[field.name].__metadata__[0].description,
        )
        for field in msgspec.structs.fields(Settings)
    ]


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    env_file: Path = Path(".env"),
) -> Settings:
    """The settings in force; SettingsError names the first one that cannot be used."""
    file = read_env_file(env_file)
    _warn_unknown({**file, **environ})
    values = {}
    for field in msgspec.structs.fields(Settings):
        name, value = find(field.name, env_name(field.name), environ, file)
        if flags and flags.get(field.name) is not None:
            name, value = "--" + field.name.replace("_", "-"), flags[field.name]
        if value is not None:
            values[field.name] = _convert(field.name, name, value, field.type)
    for url in ("database_url", "export_database_url", "listen_url"):
        if url in values:
            values[url] = clean_url(values[url])
    return Settings(**values)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, or a name that always means it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=value lines of a .env file, without quotes and comments; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path} cannot be read: {exc}") from exc
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$", line)
        if match:
            name, value = match.groups()
            quoted = re.match(r"""(["'])(.*?)\1\s*(?:#.*)?$""", value)
            found[name] = quoted[2] if quoted else re.sub(r"(^|\s)#.*", "", value).strip()
    return found


def clean_url(url: str) -> str:
    """The URL without the parameters of other drivers, which are named in a warning."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(key, value) for key, value in pairs if key not in _FOREIGN_PARAMETERS]
    if len(kept) == len(pairs):
        return url
    dropped = ", ".join(key for key, _ in pairs if key in _FOREIGN_PARAMETERS)
    log.warning("DATABASE_URL: ignored %s, which Postgres does not know", dropped)
    # libpq reads %20, not +, as a space.
    return urlunsplit(parts._replace(query=urlencode(kept).replace("+", "%20")))


def _convert(field: str, name: str, value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=lambda made, raw: made(raw))
    except msgspec.ValidationError as exc:
        meaning = getattr(kind, "__metadata__", ())
        told = f" ({meaning[0].description})" if meaning else ""
        shown = "what it is" if field in _SECRET else repr(str(value))
        raise SettingsError(f"{name} cannot be {shown}: {exc}{told}") from exc


def _warn_unknown(given: Mapping[str, str]) -> None:
    known = {env_name(field.name) for field in msgspec.structs.fields(Settings)}
    for name in sorted(given):
        if name.startswith("SLUICE_") and name not in known:
            log.warning("%s is not a setting of pgsluice and is ignored", name)
    if theirs := ignored(given):
        log.warning("no settings of pgsluice, ignored: %s", ", ".join(theirs))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
