"""The report as a picture: an SVG of bars that reads on a light and on a dark page."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from .contenders import OURS

TITLES = {
    "first": "first load",
    "again": "the same file again",
    "changed": "a tenth of it changed",
    "csv": "export as csv",
    "ndjson": "export as ndjson",
    "json": "export as json",
    "csv.gz": "export as gzipped csv",
}
_WIDTH, _LEFT, _RIGHT = 760, 170, 190
_ROW, _HEAD, _GAP = 22, 30, 18
_LONGEST = 3.0  # times the yardstick: what takes longer has a bar that is cut off
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .small { fill: #59636e; font-size: 12px }
rect { fill: #8c959f } .ours { fill: #0a7d5a } .cut { fill: #ffffff }
.span { stroke: #1f2328; stroke-width: 1.5; opacity: 0.6 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 } rect { fill: #6e7681 }
  .ours { fill: #2fbf8f } .cut { fill: #0d1117 } .span { stroke: #f0f6fc }
}
"""


def draw(report: Mapping[str, Any]) -> str:
    """The picture's text: for each case a bar of seconds for each that was measured."""
    parts, y = [], 8
    for case in report["cases"]:
        drawn, height = _panel(case, y)
        parts += drawn
        y += height + _GAP
    told = (
        f"Postgres {report['postgres']['version']}, {report['cores']} cores, "
        f"median of {report['runs']} runs, lines from the least to the most; "
        "x: time as a part of the yardstick's"
    )
    parts.append(_text(0, y + 6, told, "small"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 16}" '
        f'width="{_WIDTH}" height="{y + 16}" role="img" aria-label="pgsluice bench">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _panel(case: Mapping[str, Any], top: int) -> tuple[list[str], int]:
    title = f"{case['set']}, {case['rows']:,} records: {TITLES[case['kind']]}"
    parts = [_text(0, top + 14, title, "head")]
    bars = sorted(case["by"].items(), key=lambda item: item[1]["seconds"])
    base = case["by"].get(case["yardstick"], bars[0][1])["seconds"] if bars else 1
    full = min(max((costs["seconds"] for _, costs in bars), default=1), base * _LONGEST)
    for number, (name, costs) in enumerate(bars):
        parts += _bar(name, costs, full, top + _HEAD + number * _ROW)
    bottom = top + _HEAD + len(bars) * _ROW
    for number, (name, limit) in enumerate(case["over_limit"].items()):
        y = bottom + number * _ROW + 11
        parts += [_text(_LEFT - 8, y, name, anchor="end"), _text(_LEFT, y, f"> {limit:g} s")]
    return parts, _HEAD + (len(bars) + len(case["over_limit"])) * _ROW


def _bar(name: str, costs: Mapping[str, Any], full: float, y: int) -> Iterator[str]:
    room = _WIDTH - _LEFT - _RIGHT
    width = max(room * min(costs["seconds"] / full, 1), 1)
    ours = ' class="ours"' if name == OURS else ""
    yield _text(_LEFT - 8, y + 11, name, "head" if ours else "", anchor="end")
    yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_ROW - 8}" rx="2"{ours}/>'
    if costs["seconds"] > full:
        x = _LEFT + room - 14
        yield f'<path class="cut" d="M{x} {y + _ROW - 8} l5 -14 h4 l-5 14 z"/>'
    elif costs["least"] < costs["most"]:
        start, end = (_LEFT + room * min(costs[key] / full, 1) for key in ("least", "most"))
        middle = y + (_ROW - 8) // 2
        yield f'<path class="span" d="M{start:.1f} {middle} H{end:.1f}"/>'
    ratio = "" if costs["ratio"] is None else f" \u00b7 {costs['ratio']:.2f} x"
    yield _text(
        _LEFT + max(width, room * min(costs["most"] / full, 1)) + 8,
        y + 11,
        f"{costs['seconds']:.2f} s{ratio}",
    )


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y}"{kind} text-anchor="{anchor}">{escape(words)}</text>'
