"""`pgsluice bench files`: import and export of whole files, by every contender."""

import argparse
from typing import Any

from . import wide
from .contenders import EXPORTS, IMPORTS, own
from .peers.listing import WORDS, chosen
from .place import Place
from .report import show, summary
from .runs import measure
from .service import serving
from .sets import SETS

SET_NAMES = tuple(SETS)
KINDS = (*IMPORTS, *EXPORTS)
GROUPS = {"import": IMPORTS, "export": EXPORTS}
PEER_NAMES = WORDS
__all__ = ["GROUPS", "KINDS", "PEER_NAMES", "SET_NAMES", "run", "show"]


def run(place: Place, given: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for; the report."""
    if "wide" in given.set:
        place.ask(wide.definition())
    results = []
    with serving(place) as service:
        peers, absent = chosen(place, given.peers)
        contenders = [*own(place, service), *peers]
        for rows in given.rows:
            for name in given.set:
                results += measure(
                    place, SETS[name], rows, given.only, contenders,
                    runs=given.runs, limit=given.limit,
                )  # fmt: skip
    return summary(place, results, contenders, absent, given.runs)
