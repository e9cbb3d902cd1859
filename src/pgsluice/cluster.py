"""One Postgres cluster on disk: make it, start it, ask whether it lives."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgsluice.binaries import Binaries, EmbeddedError, User

DATABASE = "pgsluice"

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "512MB",
    # two sessions that fill WAL at once wait for it
    "wal_buffers": "64MB",
    "max_wal_size": "4GB",
    # files of WAL are kept to be written over: to make and fill new ones takes long
    "min_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "max_connections": "100",
    "client_connection_check_interval": "2s",
    "jit": "off",
    "random_page_cost": "1.1",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True)
class Cluster:
    """The server's directory, its programs and its user."""

    root: Path
    binaries: Binaries
    user: User

    def initialise(self) -> None:
        """Make the data, complete or not at all: a draft is renamed when it is ready."""
        data, draft, logs = self.root / "data", self.root / "draft", self.root / "log"
        logs.mkdir(exist_ok=True)
        self.user.own(logs, 0o700)
        if data.exists():
            return
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        self.user.own(draft, 0o700)
        self._initdb(draft)
        # Settings stand outside `data`; what is written below the line, or by alter system, wins.
        include = "\ninclude_if_exists = '../pgsluice.conf'\n"
        self._run("/bin/sh", "-c", 'cat >> "$1"', "sh", f"{draft}/postgresql.conf", text=include)
        create = f"create database {DATABASE}\n"
        self._program("postgres", "--single", "-D", str(draft), "postgres", text=create)
        draft.rename(data)

    def _initdb(self, draft: Path) -> None:
        password = self.root / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        # Postgres 17 brings Unicode without the system's locales, which change under an index.
        locale = ["--locale=C"]
        if self.binaries.major >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self.user.own(password, 0o600)
        self._program(
            "initdb", "-D", str(draft), "-U", "postgres", "-E", "UTF8", *locale,
            "--auth=scram-sha-256", f"--pwfile={password}",
        )  # fmt: skip
        os.chown(password, os.geteuid(), os.getegid())

    def write_settings(self, settings: Mapping[str, str]) -> None:
        """Write pgsluice.conf, which Postgres reads at its start."""
        given = {**settings, "log_directory": str(self.root / "log")}
        quoted = {name: value.replace("'", "''") for name, value in given.items()}
        conf = self.root / "pgsluice.conf"
        conf.write_text("".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
        conf.chmod(0o644)

    def launch(self, *, move: bool = True) -> None:
        """Start on the port of the last time, or, where it may `move`, on a free one."""
        keep = True
        for _ in range(5):
            port = self._choose_port(keep) if move else self._last_port()
            options = ["-t", "300", "-l", str(self._startup_log), "-o", f"-p {port}"]
            if self._pg_ctl("start", *options).returncode == 0:
                return
            reason = re.search("could not bind|still in use", self._last_words())
            if not reason:
                break
            keep = reason[0] == "still in use"  # by sessions of a dead server, which are leaving
            time.sleep(0.5)
        raise EmbeddedError(
            f"Postgres did not start: {self._last_words()} (log: {self.root / 'log'})"
        )

    def stop(self) -> None:
        """End the server; sessions are cut, nothing committed is lost."""
        self._pg_ctl("stop", "-m", "fast", "-t", "60")

    def runs(self) -> bool:
        """Whether the process of our server is there; cheap enough to ask every second."""
        try:
            pid = self._pid_file()[0]
            os.kill(int(pid), 0)
        except PermissionError:
            pass
        except (IndexError, ValueError, ProcessLookupError):
            return False
        return self._may_live(pid)

    def alive(self) -> bool:
        """Whether our server runs; waits while it starts, and clears what a dead one left."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            lines = self._pid_file()
            if lines and not self._may_live(lines[0]):
                self._disown(lines)
                return False
            if not lines or self._pg_ctl("status").returncode:
                return False
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return True
            time.sleep(0.1)
        raise EmbeddedError(f"Postgres in {self.root} does not get ready (log: {self.root}/log)")

    def dsn(self) -> str:
        """Where the running server listens, with its password."""
        port = self._pid_file()[3].strip()
        password = (self.root / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{DATABASE}"

    def _pg_ctl(self, action: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run pg_ctl; never with a pipe, which the server would inherit and hold open."""
        if action == "start":
            self._startup_log.unlink(missing_ok=True)
        return subprocess.run(
            [self.binaries.bindir / "pg_ctl", action, "-D", self.root / "data", "-w", *options],
            check=False, text=True, cwd=self.root, env=_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            **self.user.rights,
        )  # fmt: skip

    @property
    def _startup_log(self) -> Path:
        return self.root / "log" / "startup.log"

    def _program(self, name: str, *arguments: str, text: str | None = None) -> None:
        self._run(str(self.binaries.bindir / name), *arguments, text=text)

    def _run(self, *command: str, text: str | None = None) -> None:
        """Run a program to its end as the database's user; what it says last is the error."""
        done = subprocess.run(
            command, check=False, text=True, capture_output=True, input=text, cwd=self.root,
            env=_environment(), **self.user.rights,
        )  # fmt: skip
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise EmbeddedError(f"{command[0]} failed in {self.root}: {' '.join(words)}")

    def _pid_file(self) -> list[str]:
        try:
            return (self.root / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _may_live(self, pid: str) -> bool:
        """False when /proc proves the process a zombie, or another program's or directory's."""
        process = Path("/proc") / pid.strip()
        try:
            if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
            return (process / "cwd").samefile(self.root / "data")
        except OSError:
            return True

    def _disown(self, lines: list[str]) -> None:
        """Put a process id that cannot be into postmaster.pid, which kill(pid, 0) believes.

        The rest stays: by it Postgres makes sure that no session of the dead server is left.
        """
        text = "\n".join([str(2**22 + 1), *lines[1:], ""])
        pid_file = str(self.root / "data" / "postmaster.pid")
        self._run("/bin/sh", "-c", 'cat > "$1"', "sh", pid_file, text=text)

    def _choose_port(self, keep: bool) -> int:
        if keep and (self.root / "port").exists() and _is_free(port := self._last_port()):
            return port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        (self.root / "port").write_text(str(port))
        return port

    def _last_port(self) -> int:
        return int((self.root / "port").read_text())

    def _last_words(self) -> str:
        """The end of the newest log, where Postgres says why it did not start."""
        logs = sorted((self.root / "log").glob("*.log"), key=lambda f: f.stat().st_mtime)
        words = [
            line
            for file in logs[-2:]
            for line in file.read_text(errors="replace").splitlines()[-8:]
        ]
        return " | ".join(words) or "it said nothing"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _environment() -> dict[str, str]:
    """Ours without PG… variables, and with messages that we can read."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
