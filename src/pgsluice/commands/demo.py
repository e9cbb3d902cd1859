"""`pgsluice demo`: a living system in one command, with a Postgres of its own."""

import logging
import subprocess
import threading
from pathlib import Path
from typing import Any

from ..client import Api, ClientError
from ..demo.guide import guide
from ..demo.story import tell
from ..settings import Settings
from .common import note

_SHOP = Path(__file__).parent.parent / "demo" / "shop.sql"


def add_to(commands: Any) -> Any:
    """Add the command; its parser, for its `command` to be set."""
    parser = commands.add_parser(
        "demo",
        help="run a system to look at: sample data, jobs of every outcome, a table of a DBA's own",
        epilog="it never touches DATABASE_URL, and running it again goes on where it was",
    )
    told = "port to listen on (8080, or a free one if that is taken)"
    parser.add_argument("--port", type=int, help=told)
    told = "where all of it is kept (.pgsluice-demo)"
    parser.add_argument("--home", type=Path, default=Path(".pgsluice-demo"), help=told)
    return parser


def own_settings(settings: Settings, home: Path) -> Settings:
    """The settings of the demo: a database and a store of its own, open to this machine only."""
    # each of its lines would be one between the lines of the guide
    logging.getLogger().setLevel(logging.WARNING)
    kept = {name: getattr(settings, name) for name in ("pg_bin", "port", "log_format")}
    home.mkdir(parents=True, exist_ok=True)
    return Settings(
        **kept,
        data_dir=home / "postgres",
        store=str((home / "files").absolute()),
        import_dir=(home / "samples").absolute(),
    )


def add_shop(psql: str, dsn: str, environ: dict[str, str]) -> None:
    """Make and register the DBA's table, as a DBA would."""
    command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", str(_SHOP)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClientError(f"the demo's table cannot be made: {done.stderr.strip()}")


def start_story(settings: Settings, port: int, home: Path, root: Path) -> None:
    """Fill the system as soon as it answers, in a thread, and print what to try.

    `root` is where Postgres has its files, which is not always in `home`.
    """
    url = f"http://127.0.0.1:{port}"
    api = Api(url, settings.api_prefix)
    kept = [home] if root.is_relative_to(home.resolve()) else [home, root]

    def run() -> None:
        try:
            print(guide(url, home, kept, tell(api, home / "samples")), flush=True)
        except (ClientError, OSError) as exc:
            note(f"pgsluice: the demo has no sample data: {exc}")

    threading.Thread(target=run, name="demo", daemon=True).start()
