"""Words and building blocks of the schemas that the service's documents have."""

from typing import Any, NamedTuple

Schema = dict[str, Any]


class Fault(NamedTuple):
    """What a code of errors means, and what to do about it."""

    means: str
    do: str


# What may be wrong with a record.
ERROR_CODES = {
    "malformed": Fault(
        means="The record could not be read: too many or too few cells, an unclosed quote, no "
        "UTF-8, no JSON. Other records of the file are not concerned.",
        do="Mend the text; rejects have it as it was sent.",
    ),
    "required": Fault(
        means="A field that the table wants (NOT NULL without a default) is missing or null.",
        do="Give a value, or one for all records by option `defaults`.",
    ),
    "type": Fault(
        means="The column's type does not take the text; the message is Postgres's own.",
        do="Mend the value. If all values of a column look so, options `date_order`, `decimal`, "
        "`null` or `trim` may say how they are meant.",
    ),
    "check": Fault(
        means="A CHECK constraint of the table, or of a domain, is false; `constraint` names it, "
        "and its comment is the message.",
        do="Mend the value.",
    ),
    "rule": Fault(
        means="A rule that was added for imports is false; `constraint` names it.",
        do="Mend the record.",
    ),
    "reference": Fault(
        means="No row has the key that the field refers to.",
        do="Import the rows that are referred to first, or mend the value.",
    ),
    "duplicate": Fault(
        means="An earlier record of the same file has the same key; the message says which.",
        do="Remove one of them, or say by option `on_duplicate` which one counts.",
    ),
    "unique": Fault(
        means="Another row of the table has the same value, and the record is not about that row.",
        do="Mend the value, or name the key by which records find their rows in option `match`.",
    ),
    "conflict": Fault(
        means="By one key the record finds one row, by another key another.",
        do="Mend one of the two values, or name the one key that counts in option `match`.",
    ),
    "exists": Fault(
        means="Mode `insert`: the row is there already.",
        do="Leave the record out, or import with mode `upsert`.",
    ),
    "missing": Fault(
        means="Mode `update`: there is no such row.",
        do="Mend the key, or import with mode `upsert`.",
    ),
    "unknown_field": Fault(
        means="The record has a name that no field has.",
        do="Map it by option `mapping`, or pass over such names with `unknown_fields=ignore`.",
    ),
    "write": Fault(
        means="Only the write revealed it: a trigger raised, a row was locked or changed, "
        "or the key's role may not. `sqlstate` is Postgres's.",
        do="The message says why; what was a race comes out right when the record is sent again.",
    ),
}
STATUSES = ("pending", "processing", "completed", "failed", "cancelled")
COUNTS = ("received", "inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed")


def text(*, nullable: bool = False, **more: Any) -> Schema:
    """A text, or none."""
    return {"type": ["string", "null"] if nullable else "string", **more}


def moment(*, nullable: bool = False) -> Schema:
    """A time, or none."""
    return text(nullable=nullable, format="date-time")


def whole(*, nullable: bool = False, **more: Any) -> Schema:
    """A whole number from 0, or none."""
    return {"type": ["integer", "null"] if nullable else "integer", "minimum": 0, **more}


def listing(items: Schema, **more: Any) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items, **more}


def record(*optional: str, is_open: bool = False, about: str = "", **properties: Any) -> Schema:
    """An object that has all of these members, but for the optional ones."""
    return {
        "type": "object",
        **({"description": about} if about else {}),
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        "additionalProperties": is_open,
    }


def ref(name: str) -> Schema:
    """One of the named schemas."""
    return {"$ref": f"#/components/schemas/{name}"}
