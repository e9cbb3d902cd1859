"""The embedded server: made, found again, adopted, never shared, never root."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pgsluice import binaries, embedded
from pgsluice.binaries import EmbeddedError
from pgsluice.cli import main
from pgsluice.settings import Settings

from .conftest import FAST, address, serve, stop

pytestmark = pytest.mark.usefixtures("no_settings")
ROOT = os.geteuid() == 0


@pytest.fixture
def data_dir(open_tmp: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A place for a server; whatever still runs there at the end is stopped."""
    path = open_tmp / f"data-{abs(hash(request.node.name))}" / "deep"
    yield path
    if path.exists():
        with suppress(EmbeddedError):
            start(path).stop()
        shutil.rmtree(path.parent)


def start(path: Path, pg_bin: Path | None = None) -> embedded.Server:
    return embedded.start(path, pg_bin=str(pg_bin) if pg_bin else None, settings=FAST)


def postmaster(path: Path) -> int:
    return int((path / "data" / "postmaster.pid").read_text().split()[0])


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as conn:
        cursor = conn.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def test_data_outlives_a_stop(data_dir: Path, pg_bindir: Path) -> None:
    server = start(data_dir, pg_bindir)
    one(server.dsn, "create table kept (n) as values (7)")
    server.stop()
    assert embedded.attach(data_dir) is None
    again = start(data_dir)
    assert not again.adopted
    assert again.dsn == server.dsn, "the port and the password stay"
    assert one(again.dsn, "select n from kept") == 7
    again.stop()


def test_fsync_is_on_unless_a_test_says_otherwise(data_dir: Path) -> None:
    server = embedded.start(data_dir)
    try:
        assert one(server.dsn, "select current_setting('fsync')") == "on"
        assert one(server.dsn, "select current_setting('full_page_writes')") == "on"
        assert one(server.dsn, "select current_setting('synchronous_commit')") == "on"
        assert one(server.dsn, "select lower('ÄÖÜ')") == "äöü"
    finally:
        server.stop()


def test_the_password_is_needed_and_private(data_dir: Path) -> None:
    server = start(data_dir)
    try:
        assert (data_dir / "password").stat().st_mode & 0o077 == 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.dsn.replace("postgres:", "postgres:not"))
    finally:
        server.stop()


def test_the_server_does_not_run_as_root(data_dir: Path) -> None:
    server = start(data_dir)
    try:
        assert Path(f"/proc/{postmaster(data_dir)}").stat().st_uid != 0
    finally:
        server.stop()


def test_a_data_directory_has_one_service(data_dir: Path) -> None:
    server = start(data_dir)
    try:
        with pytest.raises(EmbeddedError, match=rf"in use by another.*{os.getpid()}"):
            start(data_dir)
        beside = embedded.attach(data_dir)
        assert beside is not None
        beside.stop()  # not its server
        assert one(server.dsn, "select 1") == 1
    finally:
        server.stop()


def test_two_data_directories_do_not_collide(data_dir: Path) -> None:
    first, second = start(data_dir / "a"), start(data_dir / "b")
    try:
        assert one(first.dsn, "show port") != one(second.dsn, "show port")
    finally:
        first.stop()
        second.stop()
        shutil.rmtree(data_dir)


def test_a_killed_server_starts_again(data_dir: Path) -> None:
    server = start(data_dir)
    os.kill(postmaster(data_dir), signal.SIGKILL)
    os.close(server._lock or 0)  # as the end of the service would
    again = start(data_dir)
    assert one(again.dsn, "select 1") == 1
    again.stop()


def test_a_process_id_that_now_is_anothers_is_seen_through(data_dir: Path) -> None:
    start(data_dir).stop()
    pid_file = data_dir / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir}/data\n1\n1\n\n127.0.0.1\n\nready\n")
    if ROOT:
        owner = (data_dir / "data").stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
    again = start(data_dir)
    assert not again.adopted
    again.stop()


def test_a_taken_port_is_left_to_whom_has_it(data_dir: Path) -> None:
    server = start(data_dir)
    server.stop()
    port = int((data_dir / "port").read_text())
    taken = socket.create_server(("127.0.0.1", port))
    try:
        again = start(data_dir)
        assert int((data_dir / "port").read_text()) != port
        again.stop()
    finally:
        taken.close()


def test_an_interrupted_beginning_is_begun_again(data_dir: Path) -> None:
    (data_dir / "draft").mkdir(parents=True)
    (data_dir / "draft" / "half").write_text("made")
    server = start(data_dir)
    assert one(server.dsn, "select 1") == 1
    server.stop()


def test_a_directory_of_something_else_is_refused(data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    (data_dir / "thesis.tex").touch()
    with pytest.raises(EmbeddedError, match=r"holds thesis.tex"):
        start(data_dir)


def test_the_default_store_may_stand_beside_the_data(data_dir: Path) -> None:
    start(data_dir).stop()
    assert Path(Settings().store).parent == Settings().data_dir
    (data_dir / Path(Settings().store).name).mkdir()
    start(data_dir).stop()


def test_data_of_another_version_is_refused_with_a_way_out(data_dir: Path) -> None:
    package = binaries.wheel()
    assert package
    start(data_dir, package / "pginstall" / "bin").stop()
    with pytest.raises(EmbeddedError, match=r"Postgres 16 \(which made this data\) is needed"):
        start(data_dir, package / "pginstall18" / "bin")
    server = start(data_dir)  # without PG_BIN the programs that fit are found
    assert server.version.startswith("16.")
    server.stop()


def test_no_programs_is_a_message_that_says_what_to_do(data_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"pip install 'pgsluice\[embedded\]'"):
        start(data_dir, Path("/nowhere"))


@pytest.mark.skipif(not ROOT, reason="only root steps down to another user")
def test_root_in_a_closed_directory_keeps_its_data_elsewhere(
    open_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_tmp / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(embedded, "SYSTEM_HOME", open_tmp / "system")
    server = start(closed / "data")
    root = Path((closed / "data" / "location").read_text().strip())
    assert root.parent == open_tmp / "system"
    one(server.dsn, "create table kept (n) as values (7)")
    server.stop()
    again = start(closed / "data")
    assert one(again.dsn, "select n from kept") == 7
    again.stop()


@pytest.mark.skipif(not ROOT, reason="only root steps down to another user")
def test_programs_in_a_closed_directory_are_copied_beside_the_data(
    open_tmp: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.wheel()
    assert package
    closed = open_tmp / "venv"
    closed.mkdir(mode=0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, closed / folder.name)
    monkeypatch.setattr(binaries, "wheel", lambda: closed / package.name)
    server = start(data_dir)
    assert data_dir in server.bindir.parents
    assert one(server.dsn, "select 1") == 1
    server.stop()


def test_serve_killed_hard_is_followed_by_one_that_adopts_its_server(data_dir: Path) -> None:
    cwd = data_dir.parent
    cwd.mkdir(mode=0o755)
    first = serve("--data-dir", str(data_dir), cwd=cwd)
    address(first)
    pid = postmaster(data_dir)
    first.kill()
    first.wait()
    os.kill(pid, 0)
    second = serve("--data-dir", str(data_dir), cwd=cwd)
    address(second)
    assert postmaster(data_dir) == pid
    assert stop(second) == 0
    if first.stdout:
        first.stdout.close()
    for _ in range(50):
        if not (data_dir / "data" / "postmaster.pid").exists():
            break
        time.sleep(0.1)
    assert embedded.attach(data_dir) is None


def test_migrate_and_psql_work_without_a_service(
    data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--data-dir", str(data_dir)]) == 0
    assert "applied 0001_sluice" in capfd.readouterr().out
    assert main(["migrate", "--data-dir", str(data_dir)]) == 0
    assert capfd.readouterr().out == "up to date\n"
    query = "select count(*) > 0 from sluice.ledger"
    previous = signal.getsignal(signal.SIGINT)
    assert main(["psql", "--data-dir", str(data_dir), "-X", "-A", "-t", "-c", query]) == 0
    signal.signal(signal.SIGINT, previous)
    assert capfd.readouterr().out == "t\n"


def test_a_schema_that_is_not_installed_ends_serve_with_code_3(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    assert main(["serve", "--port", "0"]) == 3
    assert "run `pgsluice migrate`" in capsys.readouterr().err


def test_a_taken_port_is_told_before_anything_starts(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--data-dir", str(data_dir)]) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    assert not data_dir.exists()


def test_a_worker_alone_wants_a_running_server(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--data-dir", str(data_dir)]) == 1
    assert "no server runs on" in capsys.readouterr().err


def test_an_open_host_without_keys_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "SLUICE_ANONYMOUS=import,export" in capsys.readouterr().err
