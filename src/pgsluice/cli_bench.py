"""`pgsluice bench`: measure this service against psql and peers, its latency, and what grows."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

_PARTS = ("files", "latency", "scale")


def add(commands: Any, *, whole: bool) -> argparse.ArgumentParser:
    """Add the command; the parser, for its `command` to be set.

    Its flags only if `whole`: what knows them takes other commands too long to import.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure against psql and peers, in a database of its own that is dropped afterwards",
    )
    if whole:
        _add_flags(parser)
    return parser


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "part", nargs="?", choices=_PARTS, default="files",
        help="files: import and export of whole files (default); latency: of small imports; "
        "scale: what grows with rows and imports",
    )  # fmt: skip
    parser.add_argument(
        "--rows", type=_numbers, default=[100_000], help="records in a file, with commas (100000)"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each is run, in turn (3)")
    _add_choices(parser)
    parser.add_argument(
        "--limit", type=float, default=3600.0, help="seconds after which a run is ended (3600)"
    )
    parser.add_argument(
        "--history", type=_numbers, default=[0, 1_000_000],
        help="latency: old jobs to have in the database, with commas (0,1000000)",
    )  # fmt: skip
    parser.add_argument(
        "--imports", type=int, default=1000, help="scale: small imports to look at growth (1000)"
    )
    parser.add_argument(
        "--pg", type=int, help="major version of the embedded Postgres (the newest)"
    )
    parser.add_argument("--folder", type=Path, help="where files and data are put meanwhile (/tmp)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="files: draw a picture of them")


def _add_choices(parser: argparse.ArgumentParser) -> None:
    from .bench import files

    parser.add_argument(
        "--set", type=_names(files.SET_NAMES), default=["users"],
        help=f"files: of {', '.join(files.SET_NAMES)}; or all (users)",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_names(files.KINDS, files.GROUPS), default=list(files.KINDS),
        help=f"files: of {', '.join((*files.KINDS, *files.GROUPS))} (all)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", type=_names(files.PEER_NAMES, {"none": ()}), default=["batch"],
        help=f"files: of {', '.join(files.PEER_NAMES)}; or all, or none (batch)",
    )  # fmt: skip


def run(dsn: str, psql: str, folder: Path, given: argparse.Namespace) -> int:
    """Measure in this database, print the tables and write what was asked for."""
    from .bench import files, latency, picture, scale
    from .bench.place import BenchError, Place

    if given.svg and given.part != "files":
        raise BenchError("--svg draws what `bench files` has measured")
    part: Any = {"files": files, "latency": latency, "scale": scale}[given.part]
    try:
        report = part.run(Place(dsn, psql, folder), given)
    except BenchError as exc:
        print(*getattr(exc, "__notes__", ()), sep="\n", file=sys.stderr)
        raise
    part.show(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    if given.svg:
        given.svg.write_text(picture.draw(report))
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
