"""Chance that can be asked again: a record's own, by seed, kind and number, in any order.

So a comment knows the ids of good articles without a list of them, and any number of records is
made in the same memory.
"""

import random
import uuid
from collections.abc import Callable
from hashlib import blake2b

_WORDS = (  # noqa: SIM905 # as a list it would be pages long
    "water stone river bridge winter morning letter table garden window market harbour engine "
    "paper signal number answer question measure paint silver copper forest island valley "
    "library station camera journey kitchen theatre weather history science music village "
    "of the a in on with under between before after slowly often never always small wide old"
).split()


class Draws:
    """The draws of one record."""

    def __init__(self, seed: int, kind: str, number: int) -> None:
        digest = blake2b(f"{seed} {kind} {number}".encode(), digest_size=16).digest()
        self.chance = random.Random(digest)  # noqa: S311 # sample data, the same for the same seed

    def id(self) -> str:
        """A new UUID."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def words(self, low: int, high: int) -> str:
        """So many words of no meaning."""
        return " ".join(self.chance.choices(_WORDS, k=self.chance.randint(low, high)))

    def below(self, count: int, fits: Callable[[int], bool]) -> int:
        """A number from 0 up to count for which it fits; 0 when luck finds none."""
        for _ in range(200):
            if fits(number := self.chance.randrange(count)):
                return number
        return 0

    def moment(self) -> str:
        """A second of 2024, as ISO 8601 in UTC."""
        chance = self.chance
        day = f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        clock = (chance.randrange(24), chance.randrange(60), chance.randrange(60))
        return f"{day}T{clock[0]:02}:{clock[1]:02}:{clock[2]:02}Z"
