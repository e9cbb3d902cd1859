"""What schemathesis has to be told: how lines of JSON are sent."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    """The lines as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
