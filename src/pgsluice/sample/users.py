"""Users as a CSV: about one in twenty has a defect."""

import csv
import io
from collections.abc import Iterator

from .draws import Draws

HEADER = ("id", "email", "name", "role", "active", "created_at", "updated_at")
_ROLES = ("admin", "author", "editor", "reader", "reader")
_HOSTS = ("example.com", "example.org", "mail.example.net")
_FIRST = ("Ada", "Ben", "Carla", "Deniz", "Elif", "Farid", "Grace", "Hana", "Ivo", "Jun", "Kofi")
_LAST = ("Adler", "Berg", "Costa", "Diaz", "Eriksen", "Fischer", "Gomez", "Haddad", "Ito", "Møller")


def defect(seed: int, number: int) -> str | None:
    """What is wrong with user `number`: address, twice, role or no_id; None for a good one."""
    lot = Draws(seed, "user defect", number).chance.random()
    for share, name in ((0.02, "address"), (0.04, "twice"), (0.045, "role"), (0.06, "no_id")):
        if lot < share:
            return name if number or name != "twice" else None
    return None


def is_good(seed: int, number: int) -> bool:
    """Whether this user will be in the table under user_id()."""
    return defect(seed, number) is None


def user_id(seed: int, number: int) -> str:
    """The id of user `number`."""
    return Draws(seed, "user id", number).id()


def lines(seed: int, rows: int) -> Iterator[str]:
    """The lines of the file, its header first."""
    yield _line(HEADER)
    for number in range(rows):
        yield _line(_row(seed, number))


def _row(seed: int, number: int) -> tuple[str, ...]:
    draws = Draws(seed, "user", number)
    chance, wrong = draws.chance, defect(seed, number)
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    role = "owner" if wrong == "role" else chance.choice(_ROLES)
    active = "false" if chance.random() < 0.25 else "true"
    created = draws.moment()
    return (
        "" if wrong == "no_id" else user_id(seed, number),
        _email(seed, number, wrong),
        name,
        role,
        active,
        created,
        created,
    )


def _email(seed: int, number: int, wrong: str | None) -> str:
    if wrong == "address":
        return f"user{number}@localhost" if number % 2 else f"user{number}.example.com"
    if wrong == "twice":
        # a good one not far before it: with that one both stand in any file of this size
        number = next((n for n in range(number - 1, -1, -1) if is_good(seed, n)), number)
    return f"user{number}.{seed}@{_HOSTS[number % 3]}"


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
