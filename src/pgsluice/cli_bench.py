"""`pgsluice bench`: measure this service against psql and peers."""

import argparse
import json
from pathlib import Path
from typing import Any

from .bench import load
from .bench.place import Place


def add(commands: Any) -> argparse.ArgumentParser:
    """Add the command; the parser, for its `command` to be set."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure against psql and peers, in a database of its own that is dropped afterwards",
    )
    parser.add_argument(
        "--rows", type=_numbers, default=[100_000], help="records in a file, with commas (100000)"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each is run, in turn (3)")
    parser.add_argument(
        "--set", type=_names(load.SET_NAMES), default=["users"],
        help=f"of {', '.join(load.SET_NAMES)}; or all (users)",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_names(load.KINDS, load.GROUPS), default=list(load.KINDS),
        help=f"of {', '.join((*load.KINDS, *load.GROUPS))} (all)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", type=_names(load.PEER_NAMES, {"none": ()}), default=["batch"],
        help=f"of {', '.join(load.PEER_NAMES)}; or all, or none (batch)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=float, default=3600.0, help="seconds after which a run is ended (3600)"
    )
    parser.add_argument(
        "--pg", type=int, help="major version of the embedded Postgres (the newest)"
    )
    parser.add_argument("--folder", type=Path, help="where files and data are put meanwhile (/tmp)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    return parser


def run(dsn: str, psql: str, folder: Path, given: argparse.Namespace) -> int:
    """Measure in this database, print the tables and write what was asked for."""
    report = load.run(Place(dsn, psql, folder), given)
    load.show(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _numbers(text: str) -> list[int]:
    return [int(word.replace("_", "")) for word in text.split(",")]


def _names(known: tuple[str, ...], groups: dict[str, tuple[str, ...]] | None = None) -> Any:
    """A type for argparse: names with commas, `all`, or a name for several."""
    several = {"all": known, **(groups or {})}

    def parse(text: str) -> list[str]:
        names = [name for word in text.split(",") for name in several.get(word, (word,))]
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: choose from {', '.join((*known, *several))}"
            )
        return [name for name in known if name in names]

    return parse
