"""Where it is measured: a database, psql, and a folder for files."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..failures import CommandError
from ..psql import without_password

SETTINGS = (
    "fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression",
    "shared_buffers", "work_mem", "maintenance_work_mem", "max_wal_size", "checkpoint_timeout",
    "jit",
)  # fmt: skip


class BenchError(CommandError):
    """Something that is measured failed; the message says what and why."""


class TooSlowError(BenchError):
    """A program was ended because it took longer than it was given."""


@dataclass(frozen=True)
class Place:
    """A database of the bench's own with pgsluice installed; the server may be anybody's."""

    dsn: str
    psql: str
    folder: Path

    @cached_property
    def url(self) -> str:
        """For command lines: without the password, which `environ` has."""
        return without_password(self.dsn)[0]

    @cached_property
    def environ(self) -> dict[str, str]:
        """For programs that are started here; whoever looks on from a desk sees no notices."""
        return {**without_password(self.dsn)[1], "PGOPTIONS": "-c client_min_messages=warning"}

    def command(self, *more: str, quiet: bool = True) -> list[str]:
        """A command line of psql that stops at the first error."""
        start = [self.psql, "-X", "-v", "ON_ERROR_STOP=1", "-d", self.url]
        return [*start, *(["-q"] if quiet else []), *more]

    def ask(self, *texts: str) -> str:
        """Run commands one after another, backslash ones too; what they print, bare."""
        given = [word for text in texts for word in ("-c", text)]
        done = subprocess.run(
            self.command("-A", "-t", *given),
            env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BenchError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    @cached_property
    def server(self) -> dict[str, str]:
        """The version and the settings that matter for speed, as the server has them."""
        asked = ", ".join(f"('{name}')" for name in SETTINGS)
        lines = self.ask(
            "select 'version=' || current_setting('server_version')",
            f"select name || '=' || current_setting(name) from (values {asked}) as s (name)",
        )
        return dict(line.split("=", 1) for line in lines.splitlines())

    @cached_property
    def postmaster(self) -> int | None:
        """The process id of the server, when it runs here."""
        found = self.ask(
            "select pid from pg_catalog.pg_stat_activity where backend_type = 'checkpointer'"
        )
        try:
            stat = Path(f"/proc/{int(found)}/stat").read_text()
            is_ours = Path(f"/proc/{int(found)}/comm").read_text().startswith("postgres")
        except (OSError, ValueError):
            return None
        return int(stat.rpartition(")")[2].split()[1]) if is_ours else None
