"""A Postgres of our own in a data directory: start, adopt, stop. It needs no root and no set-up.

DATA_DIR/lock       held by the one service that uses this directory
DATA_DIR/location   only when root's server cannot live here: the directory that has what follows
DATA_DIR/data       Postgres' own files            DATA_DIR/log        its log, a week of it
DATA_DIR/password   of the superuser, 0600         DATA_DIR/port       the port of the last start
"""

import fcntl
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgsluice.binaries import EmbeddedError, User, find, within_reach
from pgsluice.cluster import SETTINGS, Cluster

log = logging.getLogger("pgsluice.embedded")

# Where root's servers live when the data directory is closed to others (/root, a 0700 home).
SYSTEM_HOME = Path("/var/lib/pgsluice")
_LOOK_SECONDS = 1.0
# The last is the store of exports, unless SLUICE_STORE is set.
_OWN_FILES = frozenset(
    ("data", "draft", "log", "password", "port", "lock", "location", "pgsluice.conf", "files")
)


@dataclass
class Server:
    """A running server."""

    dsn: str
    bindir: Path
    version: str
    adopted: bool
    _cluster: Cluster
    _lock: int | None

    @contextmanager
    def kept_running(self) -> Iterator[None]:
        """For as long as the block lasts, start the server again whenever it has ended."""
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), name="postgres", daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event) -> None:
        pause = _LOOK_SECONDS
        while not over.wait(pause):
            if self._cluster.runs():
                pause = _LOOK_SECONDS
                continue
            log.error("the embedded Postgres has ended; starting it again")
            try:
                if not self._cluster.alive():
                    self._cluster.launch(move=False)  # all who use it know its port
                log.info("the embedded Postgres runs again")
            except (EmbeddedError, OSError) as exc:
                pause = min(pause * 2, 30.0)
                log.error("%s; trying again in %.0f s", exc, pause)

    def stop(self) -> None:
        """End the server cleanly and let another service have the data directory."""
        if self._lock is not None:
            self._cluster.stop()
            os.close(self._lock)
            self._lock = None


def start(
    data_dir: Path, *, pg_bin: str | None = None, settings: Mapping[str, str] | None = None
) -> Server:
    """Start the server of this data directory, made now if need be; a living one is adopted."""
    data_dir = data_dir.resolve()
    with _clear_errors(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(data_dir)
        lock = _lock(data_dir)
        try:
            cluster = _prepare(data_dir, pg_bin)
            cluster.initialise()
            adopted = cluster.alive()
            if not adopted:
                cluster.write_settings({**SETTINGS, **(settings or {})})
                cluster.launch()
            return _server(cluster, adopted, lock)
        except BaseException:
            os.close(lock)
            raise


def is_made(data_dir: Path) -> bool:
    """Whether there is a database in this data directory, running or not."""
    data_dir = data_dir.resolve()
    with _clear_errors(data_dir):
        return (root_of(data_dir) / "data" / "PG_VERSION").exists()


def attach(data_dir: Path, *, pg_bin: str | None = None) -> Server | None:
    """The server that another process runs on this data directory; None when there is none."""
    data_dir = data_dir.resolve()
    if not is_made(data_dir):
        return None
    with _clear_errors(data_dir):
        cluster = _prepare(data_dir, pg_bin)
        return _server(cluster, True, None) if cluster.alive() else None


def root_of(data_dir: Path) -> Path:
    """Where the server's files of this data directory are: there, but for some of root's."""
    data_dir = data_dir.resolve()
    pointer = data_dir / "location"
    return Path(pointer.read_text().strip()) if pointer.exists() else data_dir


def _server(cluster: Cluster, adopted: bool, lock: int | None) -> Server:
    found = cluster.binaries
    return Server(cluster.dsn(), found.bindir, found.version, adopted, cluster, lock)


@contextmanager
def _clear_errors(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EmbeddedError(
            f"{data_dir} cannot be used: {exc.strerror} ({exc.filename}); choose another --data-dir"
        ) from exc


def _lock(data_dir: Path) -> int:
    """Hold DATA_DIR/lock until it is closed or this process ends, however it ends."""
    handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        owner = os.pread(handle, 20, 0).decode(errors="replace")
        os.close(handle)
        raise EmbeddedError(
            f"{data_dir} is in use by another pgsluice (process {owner or 'unknown'}): "
            "stop it, or choose another --data-dir"
        ) from exc
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _refuse_foreign(data_dir: Path) -> None:
    """Never take a directory that holds other things: its mode will change."""
    for entry in data_dir.iterdir():
        if entry.name not in _OWN_FILES and not entry.name.startswith("postgres-"):
            raise EmbeddedError(
                f"{data_dir} holds {entry.name}, so it is not a database of pgsluice: "
                "choose another --data-dir"
            )


def _prepare(data_dir: Path, pg_bin: str | None) -> Cluster:
    """The cluster of this data directory with the right programs and user; not yet made."""
    root = root_of(data_dir)
    if not root.is_dir():
        raise EmbeddedError(
            f"{data_dir}/location names {root}, which is gone: restore it, or delete {data_dir}"
        )
    user = User.of(root / "data")
    if root == data_dir and not user.reaches(root.parent):
        root = _elsewhere(data_dir)
    # root keeps its directory, so that the database's user can plant no link where root writes.
    root.chmod(0o711 if user.rights else 0o700)
    return Cluster(root, within_reach(find(pg_bin, _major(root)), user, root), user)


def _elsewhere(data_dir: Path) -> Path:
    """A new directory for root's server outside `data_dir`, noted there."""
    if (data_dir / "data").exists():
        raise EmbeddedError(f"a directory above {data_dir} was closed to its database's user")
    try:
        SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
        SYSTEM_HOME.chmod(0o755)
        root = Path(tempfile.mkdtemp(prefix="", dir=SYSTEM_HOME))
    except OSError as exc:
        raise EmbeddedError(
            f"the database cannot run as root, others may not enter {data_dir}, and {SYSTEM_HOME} "
            f"cannot be used ({exc.strerror}): choose a --data-dir that all may enter"
        ) from exc
    (data_dir / "location").write_text(f"{root}\n")
    log.warning("%s is closed to the database's user: its files are in %s", data_dir, root)
    return root


def _major(root: Path) -> int | None:
    """The version of the data that is there already."""
    version = root / "data" / "PG_VERSION"
    return int(version.read_text()) if version.exists() else None
