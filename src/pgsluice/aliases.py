"""Names that settings had in the earlier systems: one table, honoured beside our own names."""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from urllib.parse import quote, urlencode

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def _in_bytes(text: str) -> str:
    """100MB, 1.5 GiB or 512k in bytes; what is no size stays as it is, to be refused."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?\s*", text.lower())
    return str(round(float(found[1]) * _UNITS[found[2]])) if found else text


def _same(text: str) -> str:
    return text


# Setting -> names that it had, the first one that is given counts, and how its value is read.
ALIASES: dict[str, dict[str, Callable[[str], str]]] = {
    "port": {"PORT": _same, "APP_PORT": _same},
    "api_keys": {"API_KEY": _same},
    "import_sessions": {
        "IMPORT_WORKERS": _same,
        "WORKER_IMPORT_WORKERS": _same,
        "JOB_CONCURRENCY": _same,
    },
    "exports": {"WORKER_EXPORT_WORKERS": _same},
    "batch_rows": {"IMPORT_BATCH_SIZE": _same},
    "max_upload_bytes": {"IMPORT_MAX_FILE_SIZE": _in_bytes},
    "import_dir": {"IMPORT_BASE_DIR": _same},
    "store": {"AWS_S3_BUCKET": "s3://{}".format},
    # who had a bucket handed out links to it
    "downloads": {"AWS_S3_BUCKET": lambda _: "redirect"},
}
# Parts of a database's URL -> names that they had.
DATABASE = {
    "host": ("DATABASE_HOST", "DB_HOST"),
    "port": ("DATABASE_PORT", "DB_PORT"),
    "user": ("DATABASE_USERNAME", "DATABASE_USER", "DB_USERNAME", "DB_USER"),
    "password": ("DATABASE_PASSWORD", "DB_PASSWORD", "DB_PASS"),
    "name": ("DATABASE_NAME", "DB_NAME", "DB_DATABASE"),
    "sslmode": ("DATABASE_SSLMODE", "DB_SSLMODE", "DB_SSL_MODE"),
}
# Read by the file store itself, from the environment; AWS_S3_ENDPOINT goes by another name there.
STORE = ("AWS_S3_ENDPOINT", "AWS_REGION")
_OF_STORES = re.compile(r"(AWS|GOOGLE|AZURE)_")
# Every name but our own that means something here.
KNOWN = {
    *(name for names in ALIASES.values() for name in names),
    *(name for names in DATABASE.values() for name in names),
    *STORE,
    "DATABASE_URL",
}
_THEIRS = re.compile(
    r"(DB|DATABASE|IMPORT|EXPORT|WORKER|JOB|QUEUE|BULL|REDIS|UPLOAD|AWS_S3|RATE_LIMIT|THROTTLE"
    r"|APP|SERVER|CORS|JWT)_[A-Z0-9_]+|NODE_ENV|GIN_MODE|LOG_LEVEL"
)


def find(
    field: str, own: str, environ: Mapping[str, str], file: Mapping[str, str]
) -> tuple[str, str | None]:
    """The name under which a setting is given, and its value; None when it is not.

    The environment wins over the file, and within each the setting's own name over the others.
    """
    for source in (environ, file):
        if own in source:
            return own, source[own] or None
        for name, read in ALIASES.get(field, {}).items():
            if value := source.get(name):
                return name, read(value)
        if field == "database_url" and any(_part(source, part) for part in ("host", "name")):
            return "DATABASE_HOST", _database_url({**file, **environ})
    return own, None


def ignored(given: Iterable[str]) -> list[str]:
    """Which of these names look like settings of the earlier systems that have no meaning here."""
    return sorted(name for name in given if name not in KNOWN and _THEIRS.fullmatch(name))


def tell_store(environ: MutableMapping[str, str], file: Mapping[str, str]) -> None:
    """Put into the environment what the file store reads only there."""
    for name, value in file.items():
        if _OF_STORES.match(name):
            environ.setdefault(name, value)
    endpoint = environ.get("AWS_S3_ENDPOINT")
    if endpoint and not environ.get("AWS_ENDPOINT"):
        environ.setdefault(
            "AWS_ENDPOINT_URL", endpoint if "://" in endpoint else f"https://{endpoint}"
        )


def _part(source: Mapping[str, str], part: str) -> str:
    return next((source[name] for name in DATABASE[part] if source.get(name)), "")


def _database_url(source: Mapping[str, str]) -> str:
    parts = {part: quote(_part(source, part), safe="") for part in DATABASE}
    login = parts["user"] + (f":{parts['password']}" if parts["password"] else "")
    # libpq takes no port without a host
    place = (parts["host"] or "localhost") + (f":{parts['port']}" if parts["port"] else "")
    query = f"?{urlencode({'sslmode': parts['sslmode']})}" if parts["sslmode"] else ""
    return f"postgresql://{login}{'@' if login else ''}{place}/{parts['name']}{query}"
