"""Log lines on stderr: one JSON object each, or a sentence."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal

# What ends a line, moves the cursor of a terminal or hides text there.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return escaped(json.dumps(line, ensure_ascii=False, default=str))


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        told = "".join(f" {key}={value}" for key, value in fields.items() if value is not None)
        first, *more = (super().format(record) + told).split("\n")
        is_told = not (record.exc_info or record.stack_info)
        # Only a traceback has further lines, and they do not look like a line of the log.
        between = "\\u000a" if is_told else "\n    "
        return between.join(map(escaped, (first, *more)))


def escaped(text: str) -> str:
    """The text with control characters as escapes: whoever sends them writes no line of the log."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def configure(form: Literal["json", "text"]) -> None:
    """Send every log line of this process to stderr in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _Json() if form == "json" else _Text("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # These tell at INFO what our own lines already say.
    for chatty in ("uvicorn", "procrastinate", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
