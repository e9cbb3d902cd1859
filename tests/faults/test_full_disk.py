"""Postgres, or the service, has no room on its disk: everybody is told, and nothing is lost."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from pgsluice import embedded

from ..ingest.workbooks import cells, packed, parts
from .conftest import found, users
from .disk import Disk, mounted
from .fleet import Fleet, Member, Server, until

KB = 1024
MB = 1024 * KB
ROWS = 20_000
FULL = "the disk of the database is full; make room where Postgres has its data"
# A sort of a few rows goes to the disk.
SPILL = "alter database {} set work_mem = '64kB'"


class Estate(NamedTuple):
    """A Postgres whose data and whose log of writes have disks of their own, and a fleet on it."""

    data: Disk
    wal: Disk
    fleet: Fleet


@pytest.fixture(scope="module")
def disks(open_tmp: Path) -> Iterator[tuple[Disk, Disk]]:
    with mounted(open_tmp / "small") as data, mounted(open_tmp / "small-wal") as wal:
        yield data, wal


@pytest.fixture(scope="module")
def small(disks: tuple[Disk, Disk], pg_bindir: Path) -> Iterator[Server]:
    """That Postgres; as under `serve`, it is started again when it ends."""
    data, wal = disks
    folder = data.place / "postgres"
    embedded.start(folder, pg_bin=str(pg_bindir)).stop()
    _move(folder / "data" / "pg_wal", wal.place / "pg_wal")
    server = Server(folder, pg_bindir)
    try:
        with server.kept_running():
            yield server
    finally:
        for disk in disks:
            disk.free()
        server.close()


def _move(folder: Path, place: Path) -> None:
    """Move a folder of Postgres elsewhere, with a link in its place."""
    owner = folder.stat()
    shutil.copytree(folder, place)
    for path in (place.parent, place, *place.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    place.chmod(0o700)
    shutil.rmtree(folder)
    folder.symlink_to(place)


@pytest.fixture(scope="module")
def module_estate(disks: tuple[Disk, Disk], small: Server, open_tmp: Path) -> Iterator[Estate]:
    folder = open_tmp / "full_disk"
    folder.mkdir()
    (disks[0].place / "tmp").mkdir()
    dsn = small.create("full_disk")
    fleet = Fleet(small, "full_disk", dsn, folder, {"TMPDIR": str(disks[0].place / "tmp")})
    fleet.run(SPILL.format("full_disk"))
    fleet.api()
    fleet.worker()
    yield Estate(*disks, fleet)
    fleet.close()


@pytest.fixture
def estate(module_estate: Estate) -> Iterator[Estate]:
    """The estate with room again behind the test, and nothing in it that nobody expected."""
    module_estate.fleet.run("truncate app.users cascade")
    yield module_estate
    module_estate.data.free()
    module_estate.wal.free()
    assert module_estate.fleet.tracebacks() == []


def post(fleet: Fleet, body: bytes, media: str = "text/csv", **headers: str) -> httpx.Response:
    """Users as they are posted."""
    return httpx.post(
        f"{fleet.apis[0].url}/v1/imports?resource=users",
        content=body,
        headers={"Content-Type": media, **headers},
        timeout=60,
    )


def job(fleet: Fleet, job_id: str) -> dict[str, Any]:
    """The job as the API has it; a 503 while Postgres is away is no job."""
    reply = httpx.get(f"{fleet.apis[0].url}/v1/imports/{job_id}", timeout=30)
    assert reply.status_code in (200, 503), reply.text
    return dict(reply.json())


def ended(fleet: Fleet, job_id: str, seconds: float = 60) -> dict[str, Any]:
    return dict(until(lambda: found(job(fleet, job_id)), seconds, 0.1))


class Stopped:
    """A worker that stands still for as long as the block lasts."""

    def __init__(self, worker: Member) -> None:
        self._pid = worker.pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


def is_whole(fleet: Fleet, done: dict[str, Any], rows: int = ROWS) -> None:
    good = rows - rows // 100
    assert (done["status"], done["outcome"]) == ("completed", "partial"), done
    assert (done["counts"]["inserted"], done["counts"]["rejected"]) == (good, rows // 100), done
    assert fleet.one("select count(*) from app.users") == good
    assert fleet.one(f"select count(*) from sluice.reject where job_id = '{done['id']}'") == 200
    assert "last_error" not in done["metrics"]


def test_an_upload_is_refused_with_the_reason_and_can_be_sent_again(estate: Estate) -> None:
    fleet = estate.fleet
    for spare in (0, MB):
        estate.data.leave(spare)
        refused = post(fleet, users(0, 5 * ROWS), **{"Idempotency-Key": f"full {spare}"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert refused.json()["detail"].startswith(FULL)
        assert httpx.get(f"{fleet.apis[0].url}/v1/jobs").status_code == 200
        estate.data.free()
        assert fleet.one("select count(*) from sluice.job where state = 'receiving'") == 0
        again = post(fleet, users(0, ROWS), **{"Idempotency-Key": f"full {spare}"})
        assert again.status_code == 202, again.text
        assert ended(fleet, again.json()["id"])["counts"]["received"] == ROWS
    assert fleet.one("select count(*) from app.users") == ROWS - ROWS // 100


@pytest.mark.parametrize(
    "spare",
    [
        0,
        pytest.param(500 * KB, marks=pytest.mark.slow),
        2500 * KB,
        pytest.param(5 * MB, marks=pytest.mark.slow),
    ],
)
def test_an_import_goes_on_by_itself_when_there_is_room_again(estate: Estate, spare: int) -> None:
    """It fails in the claim, the cast, the match or the merge: as far as the room reaches."""
    fleet, worker = estate.fleet, estate.fleet.workers[0]
    before = worker.said().count("No space left")
    with Stopped(worker):
        job_id = post(fleet, users(0, ROWS)).json()["id"]
        estate.data.leave(spare)
    until(lambda: worker.said().count("No space left") > before or found(job(fleet, job_id)))
    estate.data.free()
    is_whole(fleet, ended(fleet, job_id))


@pytest.mark.slow
def test_an_import_waits_for_room_longer_than_its_failure_could_be_noted(
    estate: Estate,
) -> None:
    fleet, worker = estate.fleet, estate.fleet.workers[0]
    with Stopped(worker):
        job_id = post(fleet, users(0, ROWS)).json()["id"]
        estate.data.leave(500 * KB)
    told = until(lambda: job(fleet, job_id)["metrics"].get("last_error"))
    assert "No space left on device; make room where Postgres has its data" in told
    until(lambda: "cannot go on with steps" in worker.said() or found(job(fleet, job_id)), 240, 1)
    estate.data.free()
    done = ended(fleet, job_id)
    if done["status"] == "failed":
        # another's room was enough for the note
        assert "No space left on device; make room" in done["error"]["detail"]
        assert done["counts"]["unprocessed"] == ROWS
        retried = httpx.post(f"{fleet.apis[0].url}/v1/imports/{job_id}/retry").json()
        done = ended(fleet, retried["id"])
    is_whole(fleet, done)


def test_an_export_that_has_to_sort_is_refused_or_waits(estate: Estate) -> None:
    fleet, url = estate.fleet, estate.fleet.apis[0].url
    ended(fleet, post(fleet, users(0, ROWS)).json()["id"])
    wanted = {"resource": "users", "format": "csv", "order": "-name"}
    fleet.run("checkpoint")
    estate.data.leave(200 * KB)
    refused = httpx.get(f"{url}/v1/exports", params=wanted, timeout=60)
    assert (refused.status_code, refused.json()["detail"][: len(FULL)]) == (503, FULL)
    asked = httpx.post(f"{url}/v1/exports", json={"resource": "users", "order": "-name"})
    job_id = asked.json()["id"]

    def waits() -> bool:
        seen = httpx.get(f"{url}/v1/exports/{job_id}").json()
        return "No space left" in seen.get("metrics", {}).get("last_error", "")

    until(waits)
    estate.data.free()
    # 5 seconds, then 15: the test has no time for that
    fleet.run("update sluice.job set not_before = null; select sluice.announce('work')")
    whole = httpx.get(f"{url}/v1/exports", params=wanted, timeout=60).text
    assert whole.count("\n") == ROWS - ROWS // 100 + 1

    def done() -> Any:
        return found(httpx.get(f"{url}/v1/exports/{job_id}").json())

    assert until(done)["exported"] == ROWS - ROWS // 100


def test_workbooks_have_no_room_for_their_temporary_files(estate: Estate) -> None:
    fleet, url = estate.fleet, estate.fleet.apis[0].url
    rows = (
        cells(f"u{n}@example.org", f"User {n} {os.urandom(60).hex()}", "reader")
        for n in range(3000)
    )
    book = packed(parts(cells("email", "name", "role") + "".join(rows)))
    media = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    done = ended(fleet, post(fleet, book, media).json()["id"])
    assert done["counts"]["inserted"] == 3000
    estate.data.leave(100 * KB)
    get = {"resource": "users", "format": "xlsx"}
    for refused in (post(fleet, book, media), httpx.get(f"{url}/v1/exports", params=get)):
        assert refused.status_code == 503
        assert "no room for a temporary file" in refused.json()["detail"]
        assert "free some, or set TMPDIR" in refused.json()["detail"]
    estate.data.free()
    assert httpx.get(f"{url}/v1/exports", params=get).status_code == 200
    assert ended(fleet, post(fleet, book, media).json()["id"])["counts"]["unchanged"] == 3000


@pytest.mark.slow
def test_postgres_that_ends_for_want_of_room_for_its_log_is_waited_for(estate: Estate) -> None:
    fleet = estate.fleet
    accepted = [post(fleet, users(0, ROWS)).json()["id"]]
    ended(fleet, accepted[0])
    started = fleet.one("select pg_postmaster_start_time()")
    estate.wal.leave()
    replies: list[httpx.Response] = []

    def fallen() -> bool:
        replies.append(post(fleet, users(len(replies) * ROWS, ROWS)))
        return replies[-1].status_code != 202

    until(fallen, 60)
    assert replies[-1].status_code == 503, replies[-1].text
    until(lambda: httpx.get(f"{fleet.apis[0].url}/health", timeout=30).status_code == 503)
    estate.wal.free()
    until(lambda: httpx.get(f"{fleet.apis[0].url}/health", timeout=30).status_code == 200, 60)
    sent = replies[:-1]
    for reply in sent:
        done = ended(fleet, reply.json()["id"])
        assert (done["status"], done["counts"]["received"]) == ("completed", ROWS), done
    last = ended(fleet, post(fleet, users(len(sent) * ROWS, ROWS)).json()["id"])
    assert last["status"] == "completed"
    rows = (len(sent) + 1) * ROWS
    assert fleet.one("select count(*) from app.users") == rows - rows // 100
    assert fleet.one("select pg_postmaster_start_time()") >= started
