"""The `pgsluice` command.

Exit codes: 0 done, 1 it cannot work, 2 wrong arguments or settings, 3 the schema is not installed,
or of an import: records were rejected; 130 after Ctrl-C of all but serve, worker and demo.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__, cli_bench, logs
from .aliases import tell_store
from .commands import (
    completion,
    demo,
    doctor,
    download,
    exports,
    imports,
    jobs,
    key,
    resource,
    sample,
    schedule,
)
from .commands.common import INTERRUPTED
from .errors import ProblemError
from .failures import CommandError
from .settings import Settings, SettingsError, load, read_env_file

# They run until they are told to stop: that is how they end well.
_SERVICES = ("serve", "worker", "demo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; expected failures are one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # a locale that lacks a letter is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    given = _given(sys.argv[1:] if argv is None else argv)
    if given is None:
        return 2
    # Without this a SIGTERM would end us before the embedded server is stopped.
    ended = 0 if given.word in _SERVICES else 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ended))
    try:
        settings = load(vars(given))
        logs.configure(settings.log_format)
        tell_store(os.environ, read_env_file(Path(".env")))
        return int(given.command(settings, given))
    except SettingsError as exc:
        return _fail(exc, 2)
    except CommandError as exc:
        return _fail(exc, exc.exit_code)
    except ProblemError as exc:
        return _fail(exc, 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; nothing is to be flushed into it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _given(words: Sequence[str]) -> argparse.Namespace | None:
    """What the words mean; None, and the help on stderr, when there are none."""
    parser = _parser(words)
    if not words:
        parser.print_help(sys.stderr)
        return None
    given, arguments = parser.parse_known_args(words)
    for name in ("files", "resources"):
        listed = getattr(given, name, None)
        if isinstance(listed, list) and not any(word.startswith("-") for word in arguments):
            # files behind a flag: argparse takes a list in one place only
            setattr(given, name, [*listed, *arguments])
            arguments = []
    given.arguments = arguments
    if arguments and given.word != "psql":
        parser.error(f"unknown arguments: {' '.join(arguments)}")
    return given


def _fail(exc: Exception, code: int) -> int:
    print(f"pgsluice: {exc}", file=sys.stderr)
    return code


def _local(name: str) -> Callable[[Settings, argparse.Namespace], int]:
    """A command that works on Postgres: what it imports takes a while, so only when it runs."""

    def run(settings: Settings, given: argparse.Namespace) -> int:
        from .commands import local

        return int(getattr(local, name)(settings, given))

    return run


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgsluice", description="Bulk import and export for Postgres tables."
    )
    parser.add_argument("--version", action="version", version=f"pgsluice {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="word")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data-dir", type=Path, help="of the embedded Postgres (default .pgsluice)"
    )

    command = commands.add_parser("serve", parents=[shared], help="run the API and a worker")
    command.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to listen on (default 8080; 0: a free one)")
    command.add_argument(
        "--no-worker", dest="worker", action="store_const", const=False, help="the API alone"
    )
    command.add_argument(
        "--migrate", action="store_true", help="upgrade the database of DATABASE_URL"
    )
    command.set_defaults(command=_local("serve"))

    command = commands.add_parser("worker", parents=[shared], help="run a worker alone")
    command.set_defaults(command=_local("worker"))
    command = commands.add_parser("migrate", parents=[shared], help="install or upgrade the schema")
    command.set_defaults(command=_local("install"))
    bench = cli_bench.add(commands, whole=bool({"bench", "completion"}.intersection(words[:1])))
    bench.set_defaults(command=_local("bench"))
    key.add(commands, shared).set_defaults(command=_local("key"))
    told = "open psql on the database; what we do not know goes to psql"
    command = commands.add_parser("psql", parents=[shared], help=told)
    command.set_defaults(command=_local("psql"))
    demo.add_to(commands).set_defaults(command=_local("show_demo"))
    resource.add_to(commands).set_defaults(command=_local("register"))
    for module in (imports, exports, download, jobs, schedule, doctor, sample, completion):
        module.add_to(commands)
    parser.set_defaults(parser=parser)
    return parser
