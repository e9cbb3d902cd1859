"""Files that are made of a COPY's rows rather than passed on: workbooks and Parquet."""

from typing import Any, Protocol

from .parquet.child import require
from .parquet.writer import ParquetWriter
from .workbook_writer import WorkbookWriter


class FileWriter(Protocol):
    """Takes the output of a COPY; each call returns the bytes that are ready."""

    def add(self, block: bytes) -> bytes:
        """Rows, cut anywhere."""

    def end(self) -> bytes:
        """The rows were whole."""

    def close(self) -> None:
        """Give back what it holds, however it ended."""


def is_made(about: dict[str, Any]) -> bool:
    """Whether SQL asks for a file that is to be made."""
    return "sheet" in about or "parquet" in about


def require_format(form: object) -> None:
    """ProblemError for a format that this service cannot make."""
    if form == "parquet":
        require()


def writer_of(about: dict[str, Any]) -> FileWriter | None:
    """Who makes the file that SQL asks for; None: it is what COPY gives. ProblemError."""
    if "sheet" in about:
        return WorkbookWriter(about["sheet"])
    return ParquetWriter(about["parquet"]) if "parquet" in about else None
