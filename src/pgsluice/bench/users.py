"""Files of users to measure with: a hundredth of the records is bad, by a fixed seed."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path

HEADER = "id,email,name,role,active\n"
ROLES = ("admin", "author", "editor", "reader")


def write(path: Path, clean: Path, rows: int, seed: int = 1) -> int:
    """Write `rows` records to `path`, the good ones also to `clean`; how many are good."""
    good = 0
    with path.open("w") as every, clean.open("w") as those:
        every.write(HEADER)
        those.write(HEADER)
        for line, is_good in _lines(rows, random.Random(seed)):  # noqa: S311 # test data, the same for the same seed
            every.write(line)
            if is_good:
                those.write(line)
                good += 1
    return good


def _lines(rows: int, rnd: random.Random) -> Iterator[tuple[str, bool]]:
    for n in range(rows):
        email, is_good = f"user{n}@example.com", True
        if n % 200 == 99:
            email, is_good = "not-an-address", False
        elif n % 200 == 199:
            email, is_good = f"user{n - 150}@example.com", False
        key = uuid.UUID(int=rnd.getrandbits(128), version=4)
        active = "false" if n % 4 == 0 else "true"
        yield f"{key},{email},User {n},{ROLES[n % 4]},{active}\n", is_good
