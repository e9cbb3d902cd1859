"""What the two sides of a reading say to each other."""

import msgspec


class Options(msgspec.Struct):
    """How a file is to be read."""

    file: int
    null: str
    point: str
    max_record: int


class Frame(msgspec.Struct, omit_defaults=True):
    """What stands before `size` bytes: names of columns, records, or the end."""

    header: list[str] | None = None
    records: int = 0
    malformed: int = 0
    row: int = 0
    marked: bool = False
    size: int = 0
    ended: bool = False
