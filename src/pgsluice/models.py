"""Words and building blocks of the schemas that the service's documents have."""

from typing import Any

Schema = dict[str, Any]

ERROR_CODES = (
    "malformed",
    "required",
    "type",
    "check",
    "rule",
    "reference",
    "duplicate",
    "unique",
    "conflict",
    "exists",
    "missing",
    "unknown_field",
    "write",
)
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
