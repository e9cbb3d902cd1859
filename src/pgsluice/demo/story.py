"""What has happened in the demo's system: imports of every outcome, an export, a schedule.

Each request has a key of its own, so that telling the story again changes nothing.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..client import Api, ClientError, UnreachableError
from ..sample import users
from ..sample.files import samples, write

_SEED = 7
_USERS = 2_000
_START_SECONDS = 30.0
_STREETS = ("Harbour Road", "Mill Lane", "Station Street", "Garden Row")
_CITIES = ("Izmir", "Lisbon", "Oslo", "Trieste")
_SCHEDULE = {
    "name": "nightly-users",
    "cron": "30 4 * * *",
    "kind": "export",
    "request": {"resource": "users", "format": "csv", "compression": "gzip"},
}
_EXPORT = {"resources": ["users", "articles"], "format": "csv"}


def tell(api: Api, folder: Path) -> list[dict[str, Any]]:
    """Have all of it happen, unless it has; the jobs as they are then."""
    _await(api)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for path, resource, options in _imports(folder):
        # what comes next refers to it, or exports it
        jobs.append(_ended(api, _import(api, path, resource, options)))
    export = _once(lambda: api.ask("POST", "exports", _EXPORT, headers=_key("export")))
    jobs.append(_ended(api, export))
    api.ask("POST", "schedules", _SCHEDULE)
    return [job for job in jobs if job]


def _imports(folder: Path) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Files, their resources and options, in the order of the story."""
    for sample in samples("huge", _SEED, _USERS):
        path = folder / sample.name
        if not path.exists():
            write(path, sample.lines())
        yield path, sample.resource, {}
    made: tuple[tuple[str, str, Iterator[str], dict[str, str]], ...] = (
        ("addresses.ndjson", "users", _addresses(), {}),
        ("products.csv", "products", _products(60), {}),
        ("products_wrong.csv", "products", _products(2), {"max_error_ratio": "0.1"}),
        ("products_new.csv", "products", _products(25), {"dry_run": "true"}),
    )
    for name, resource, lines, options in made:
        path = folder / name
        write(path, lines)
        yield path, resource, options


def _addresses() -> Iterator[str]:
    """Addresses inside the records of users who are there already."""
    good = (number for number in range(_USERS) if users.is_good(_SEED, number))
    for at, number in zip(range(40), good, strict=False):
        places = [
            {"street": f"{_STREETS[n % 4]} {at + n}", "city": _CITIES[(at + n) % 4]}
            for n in range(1 + at % 3)
        ]
        yield json.dumps({"id": users.user_id(_SEED, number), "addresses": places}) + "\n"


def _products(bad_every: int) -> Iterator[str]:
    """A CSV of products, of which one in so many cannot be."""
    yield "sku,article,price,on_sale\n"
    bad = ("sku-{0},Lamp {0},19.90,true\n", "LMP-{0},,5.00,false\n", "LMP-{0},Lamp {0},-1,\n")
    for number in range(1, 301):
        if number % bad_every == 0:
            yield bad[number // bad_every % 3].format(number)
        else:
            on_sale = "true" if number % 4 == 0 else "false"
            yield f"LMP-{number},Lamp {number},{number % 90 + 0.5:.2f},{on_sale}\n"


def _import(api: Api, path: Path, resource: str, options: dict[str, str]) -> dict[str, Any] | None:
    params = {"resource": resource, "file_name": path.name, **options}
    headers = {"Content-Type": "application/octet-stream", **_key(path.name)}
    return _once(lambda: api.send("imports", [path.read_bytes()], params, headers))


def _key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": f"pgsluice demo {name}"}


def _once(ask: Any) -> dict[str, Any] | None:
    """The job; None where an earlier release told this part of the story otherwise."""
    try:
        return dict(ask())
    except ClientError as exc:
        if exc.status == 422:
            return None
        raise


def _await(api: Api) -> None:
    """Wait until the service answers."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            api.ask("GET", "/ready")
            return
        except (UnreachableError, ClientError):
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _ended(api: Api, job: dict[str, Any] | None) -> dict[str, Any] | None:
    while job and job["status"] in ("pending", "processing"):
        time.sleep(0.1)
        job = dict(api.ask("GET", f"{job['kind']}s/{job['job_id']}"))
    return job
