"""Log lines on stderr: one JSON object each, or a sentence."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal


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
        return json.dumps(line, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        told = "".join(f" {key}={value}" for key, value in fields.items() if value is not None)
        return super().format(record) + told


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
