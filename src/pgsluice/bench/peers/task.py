"""What a peer's program is told to do."""

import sys
from urllib.parse import urlsplit

import msgspec


class Task(msgspec.Struct):
    """Load a cleaned CSV file into a table, or export the table in the format `kind`."""

    kind: str
    table: str
    columns: dict[str, str]  # with their types
    key: str
    file: str  # that is loaded, or written
    url: str  # without the password, which PGPASSWORD has

    @property
    def schema_and_name(self) -> tuple[str, str]:
        """The two parts of the table's name."""
        schema, _, name = self.table.partition(".")
        return schema, name

    def connection(self) -> dict[str, str]:
        """The parts of the URL for programs that want them apart."""
        parts = urlsplit(self.url)
        return {
            "host": parts.hostname or "",
            "port": str(parts.port or 5432),
            "user": parts.username or "",
            "name": parts.path.lstrip("/"),
        }


def given() -> Task:
    """The task on the command line of this process."""
    return msgspec.json.decode(sys.argv[1], type=Task)
