"""What imports must count and what tables must hold, worked out without pgsluice.

A model of each table: rows by key. Files are made together with their verdicts, and applied to the
model in the order in which they are posted.
"""

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

Row = dict[str, str]
COUNTS = ("received", "inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")


@dataclass
class Upload:
    """A file to post, and what its job must end with."""

    resource: str
    form: str
    body: bytes
    options: dict[str, str]
    status: str
    counts: dict[str, int]

    @property
    def title(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.resource}.{self.form} of {self.counts['received']} {options}".strip()


@dataclass
class Table:
    """The rows that a table must hold. `key` is the field by which records match."""

    resource: str
    name: str
    key: str
    rows: dict[str, Row] = field(default_factory=dict)

    def upload(self, records: list[tuple[Row, bool]], form: str, **options: str) -> Upload:
        """A file of records, each with whether it is good; the model becomes what it makes it."""
        counts = dict.fromkeys(COUNTS, 0) | {"received": len(records)}
        changed: dict[str, Row] = {}
        for row, is_good in records:
            old = self.rows.get(row[self.key])
            if not is_good or (options.get("mode") == "update" and old is None):
                counts["rejected"] += 1
                continue
            new = (old or {}) | row
            changed[row[self.key]] = new
            counts["inserted" if old is None else "updated" if new != old else "unchanged"] += 1
        status = "completed"
        if options.get("atomic") == "true" and counts["rejected"]:
            status, changed = "failed", {}
            judged = counts["received"] - counts["rejected"]
            counts |= {"inserted": 0, "updated": 0, "unchanged": 0, "unprocessed": judged}
        if options.get("dry_run") is None:
            self.rows |= changed
        body = encode([row for row, _ in records], form)
        return Upload(self.resource, form, body, options, status, counts)

    def query(self) -> str:
        """SQL of the same digest of the table that digest() has of the model."""
        if not self.rows:
            return f"select md5(coalesce(max('rows'), '')) from {self.name}"
        cells = ", ".join(f"{name}::text" for name in self._fields())
        row = f"concat_ws('|', {cells})"
        return (
            f"select md5(string_agg({row}, e'\\n' order by {self.key}::text collate \"C\"))"
            f" from {self.name}"
        )

    def digest(self) -> str:
        """One word for all that the table must hold."""
        rows = (self.rows[key] for key in sorted(self.rows))
        lines = ("|".join(row[name] for name in self._fields()) for row in rows)
        return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()

    def _fields(self) -> list[str]:
        return sorted(next(iter(self.rows.values())))


def encode(rows: Iterable[Row], form: str) -> bytes:
    """The rows as csv or ndjson."""
    rows = list(rows)
    if form == "ndjson":
        return ("\n".join(json.dumps(row) for row in rows) + "\n").encode()
    lines = [",".join(row.values()) for row in rows]
    return "\n".join([",".join(rows[0]), *lines, ""]).encode()


def key(rnd: random.Random) -> str:
    """A random uuid."""
    text = f"{rnd.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def words(rnd: random.Random, count: int) -> str:
    return " ".join(
        rnd.choice(("rows", "stream", "through", "the", "sluice")) for _ in range(count)
    )
