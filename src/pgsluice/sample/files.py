"""The files of a sample: names, sizes, and how they are written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import texts, users

SETS = ("users", "articles", "comments", "huge")
# Records of users; of articles half as many more, of comments twice as many.
USUAL_ROWS = 10_000


@dataclass(frozen=True)
class Sample:
    """One file: its resource, name and size, and what makes its lines."""

    resource: str
    name: str
    rows: int
    lines: Callable[[], Iterator[str]]


def samples(wanted: str, seed: int, rows: int | None = None) -> list[Sample]:
    """The files of a set in the order in which they are to be imported.

    `rows` is the number of records: of each file, or with `huge` of users, which the others follow.
    """
    people = rows or USUAL_ROWS
    of = people * 3 // 2 if wanted == "huge" else rows or USUAL_ROWS * 3 // 2
    remarks = people * 2 if wanted == "huge" else rows or USUAL_ROWS * 2
    made = {
        "users": Sample("users", "users_huge.csv", people, lambda: users.lines(seed, people)),
        "articles": Sample(
            "articles",
            "articles_huge.ndjson",
            of,
            lambda: texts.articles(seed, of, people),
        ),
        "comments": Sample(
            "comments",
            "comments_huge.ndjson",
            remarks,
            lambda: texts.comments(seed, remarks, of, people),
        ),
    }
    return list(made.values()) if wanted == "huge" else [made[wanted]]


def write(path: Path, lines: Iterable[str]) -> int:
    """Write the lines as UTF-8; how many bytes that were."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)
    return path.stat().st_size
