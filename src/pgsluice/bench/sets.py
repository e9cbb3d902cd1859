"""The sets of records to measure with: for each a table, a generator and an expert's script.

A hundredth of the records is bad, half of them by a rule, half by a key or a reference; all is
the same for the same number of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import wide

SCRIPTS = Path(__file__).with_name("scripts")
PARENTS = 1000
_ROLES = ("admin", "author", "editor", "reader")
_STATUSES = ("draft", "published", "archived")
_TEXT = "the sluice lets good rows through and keeps what does not fit beside the channel"
_WORDS = _TEXT.split()


class Record(Protocol):
    """The record of a number: its cells as of CSV, its line in the set's own format, is it good."""

    def __call__(self, n: int, *, changed: bool) -> tuple[str, str, bool]: ...


@dataclass(frozen=True)
class Set:
    """A table with what goes into it."""

    name: str
    table: str
    form: str  # of the file that is loaded: csv or ndjson
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: str  # the column by which scripts and peers match
    record: Record
    prepare: tuple[str, ...]  # commands that make the table empty and ready

    @property
    def listed(self) -> str:
        """The columns with commas."""
        return ", ".join(self.columns)

    @property
    def script(self) -> str:
        """What an expert writes in psql for this file."""
        written = SCRIPTS / f"{self.name}.sql"
        return written.read_text() if written.exists() else wide.script()


def _id(kind: int, n: int) -> str:
    """A UUID that looks random, as ids of rows do, and is always the same."""
    mixed = (n * 0x9E3779B97F4A7C15 + kind * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    spread = (mixed ^ (mixed >> 31)) * 0x94D049BB133111EB & (2**64 - 1)
    high, low = f"{spread:016x}", f"{mixed:016x}"
    return f"{high[:8]}-{high[8:12]}-4{high[13:]}-8{low[1:4]}-{low[4:]}"


def _is_good(n: int) -> bool:
    return n % 100 != 99


def _user(n: int, *, changed: bool) -> tuple[str, str, bool]:
    email = f"user{n}@example.com"
    if n % 200 == 99:
        email = "not-an-address"
    elif n % 200 == 199:
        email = f"user{n - 150}@example.com"
    name = f"Renamed {n}" if changed else f"User {n}"
    active = "false" if n % 4 == 0 else "true"
    line = f"{_id(1, n)},{email},{name},{_ROLES[n % 4]},{active}\n"
    return line, line, _is_good(n)


def _article(n: int, *, changed: bool) -> tuple[str, str, bool]:
    slug = f"article-{n - 150 if n % 200 == 199 else n}"
    start = n % len(_WORDS)
    body = " ".join(_WORDS[start:] + _WORDS + _WORDS[:start]) if n % 200 != 99 else "too short"
    title = f"Revised {n}" if changed else f"Article {n}"
    status = _STATUSES[n % 3]
    published = None if n % 3 == 0 else f"2026-0{n % 9 + 1}-1{n % 10}T08:30:00Z"
    key, author = _id(2, n), parent("users", n * 7 % PARENTS)
    cells = f'{key},{slug},{title},{body},{author},"{{row,n{n % 50}}}",{status},{published or ""}\n'
    given = f', "published_at": "{published}"' if published else ""
    line = (
        f'{{"id": "{key}", "slug": "{slug}", "title": "{title}", "body": "{body}", '
        f'"author_id": "{author}", "tags": ["row", "n{n % 50}"], "status": "{status}"{given}}}\n'
    )
    return cells, line, _is_good(n)


def _comment(n: int, *, changed: bool) -> tuple[str, str, bool]:
    article = parent("articles", n * 13 % PARENTS if n % 200 != 199 else PARENTS + n)
    user = parent("users", n * 7 % PARENTS)
    body = f"{'On second thought' if changed else 'Remark'} {n}: rows go where they belong."
    if n % 200 == 99:
        body = ""
    key = _id(3, n)
    line = f'{{"id": "{key}", "article_id": "{article}", "user_id": "{user}", "body": "{body}"}}\n'
    return f"{key},{article},{user},{body}\n", line, _is_good(n)


def _wide(n: int, *, changed: bool) -> tuple[str, str, bool]:
    code = f"code-{n - 150 if n % 200 == 199 else n}"
    first = "many" if n % 200 == 99 else str(n % 1000)
    line = wide.line(_id(4, n), code, first, "changed" if changed else f"t{n % 977}", n)
    return line, line, _is_good(n)


def parent(table: str, n: int) -> str:
    """The id of the nth row that prepare() makes for others to refer to."""
    return f"00000000-0000-4000-800{1 if table == 'users' else 2}-{n:012x}"


_ids = "('00000000-0000-4000-800{}-' || lpad(to_hex(n), 12, '0'))::uuid"
_EMPTY = "truncate app.users, app.articles, app.comments, app.addresses"
_USERS = (
    "insert into app.users (id, email, name, role) "
    f"select {_ids.format(1)}, 'author' || n || '@example.com', 'Author ' || n, 'author' "
    f"from generate_series(0, {PARENTS - 1}) as n"
)
_ARTICLES = (
    "insert into app.articles (id, slug, title, body, author_id) "
    f"select {_ids.format(2)}, 'article-' || n, 'Article ' || n, repeat('word ', 20), "
    f"{_ids.format(1)} from generate_series(0, {PARENTS - 1}) as n"
)

_USERS_SET = Set(
    name="users",
    table="app.users",
    form="csv",
    columns=("id", "email", "name", "role", "active"),
    types=("uuid", "text", "text", "text", "boolean"),
    key="email",
    record=_user,
    prepare=(_EMPTY,),
)
_ARTICLES_SET = Set(
    name="articles",
    table="app.articles",
    form="ndjson",
    columns=("id", "slug", "title", "body", "author_id", "tags", "status", "published_at"),
    types=("uuid", "text", "text", "text", "uuid", "text[]", "text", "timestamptz"),
    key="slug",
    record=_article,
    prepare=(_EMPTY, _USERS, "analyze app.users"),
)
_COMMENTS_SET = Set(
    name="comments",
    table="app.comments",
    form="ndjson",
    columns=("id", "article_id", "user_id", "body"),
    types=("uuid", "uuid", "uuid", "text"),
    key="id",
    record=_comment,
    prepare=(_EMPTY, _USERS, _ARTICLES, "analyze app.users", "analyze app.articles"),
)
_WIDE_SET = Set(
    name="wide",
    table=wide.TABLE,
    form="csv",
    columns=wide.COLUMNS,
    types=wide.TYPES,
    key="code",
    record=_wide,
    prepare=(f"truncate {wide.TABLE}",),
)
SETS = {one.name: one for one in (_USERS_SET, _ARTICLES_SET, _COMMENTS_SET, _WIDE_SET)}


@dataclass(frozen=True)
class Files:
    """What was written for a set: the file as sent, and its good records as CSV."""

    sent: Path
    clean: Path
    rows: int
    good: int


def write(one: Set, folder: Path, rows: int, *, changed: bool = False) -> Files:
    """Write the records; with `changed` every tenth (a good one) differs in one field."""
    stem = f"{one.name}-{rows}{'-changed' if changed else ''}"
    sent, clean = folder / f"{stem}.{one.form}", folder / f"{stem}-clean.csv"
    good = 0
    header = ",".join(one.columns) + "\n"
    with sent.open("w") as every, clean.open("w") as those:
        those.write(header)
        if one.form == "csv":
            every.write(header)
        for cells, line, is_good in _records(one, rows, changed):
            every.write(line)
            if is_good:
                those.write(cells)
                good += 1
    return Files(sent, clean, rows, good)


def _records(one: Set, rows: int, changed: bool) -> Iterator[tuple[str, str, bool]]:
    for n in range(rows):
        yield one.record(n, changed=changed and n % 10 == 5)
