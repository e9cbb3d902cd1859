"""Articles and comments as NDJSON: about one in twenty has a defect."""

import json
from collections.abc import Iterator
from typing import Any

from . import users
from .draws import Draws

_TAGS = ("howto", "news", "release", "opinion", "été", "資料", "a,b", 'so "called"')
_ENDINGS = ("", "", " 👍", "\nand a second line", ' with "quotes", and a comma')
_ARTICLE_DEFECTS = ("slug", "twice", "author", "draft", "no_id")
_COMMENT_DEFECTS = ("article", "user", "long", "empty", "no_body", "no_id")
_SHARE = 0.01


def _defect(seed: int, kind: str, number: int, names: tuple[str, ...]) -> str | None:
    lot = Draws(seed, f"{kind} defect", number).chance.random()
    return names[int(lot / _SHARE)] if lot < _SHARE * len(names) else None


def is_good_article(seed: int, number: int) -> bool:
    """Whether this article will be in the table under article_id()."""
    return _defect(seed, "article", number, _ARTICLE_DEFECTS) is None


def article_id(seed: int, number: int) -> str:
    """The id of article `number`."""
    return Draws(seed, "article id", number).id()


def articles(seed: int, rows: int, authors: int) -> Iterator[str]:
    """Articles whose authors are among the good ones of so many users."""
    for number in range(rows):
        yield _line(_article(seed, number, authors))


def comments(seed: int, rows: int, of: int, people: int) -> Iterator[str]:
    """Comments on good ones of so many articles, by good ones of so many users."""
    for number in range(rows):
        yield _line(_comment(seed, number, of, people))


def _article(seed: int, number: int, authors: int) -> dict[str, Any]:
    draws = Draws(seed, "article", number)
    author = draws.below(authors, lambda n: users.is_good(seed, n))
    status = draws.chance.choice(("draft", "published", "published", "archived"))
    record: dict[str, Any] = {
        "id": article_id(seed, number),
        "slug": f"article-{seed}-{number}",
        "title": draws.words(2, 7).capitalize(),
        "body": draws.words(12, 90),
        "author_id": users.user_id(seed, author),
        "tags": draws.chance.sample(_TAGS, draws.chance.randint(0, 3)),
        "status": status,
    }
    if status != "draft":
        record["published_at"] = draws.moment()
    match _defect(seed, "article", number, _ARTICLE_DEFECTS):
        case "slug":
            record["slug"] = f"Article_{number} (new)"
        case "twice" if number:
            before = (n for n in range(number - 1, -1, -1) if is_good_article(seed, n))
            record["slug"] = f"article-{seed}-{next(before, number)}"
        case "author":
            record["author_id"] = draws.id()
        case "draft":
            record |= {"status": "draft", "published_at": draws.moment()}
        case "no_id":
            del record["id"]
    return record


def _comment(seed: int, number: int, of: int, people: int) -> dict[str, Any]:
    draws = Draws(seed, "comment", number)
    article = draws.below(of, lambda n: is_good_article(seed, n))
    person = draws.below(people, lambda n: users.is_good(seed, n))
    record: dict[str, Any] = {
        "id": draws.id(),
        "article_id": article_id(seed, article),
        "user_id": users.user_id(seed, person),
        "body": draws.words(1, 60) + draws.chance.choice(_ENDINGS),
        "created_at": draws.moment(),
    }
    match _defect(seed, "comment", number, _COMMENT_DEFECTS):
        case "article":
            record["article_id"] = draws.id()
        case "user":
            record["user_id"] = draws.id() if number % 2 else "not-a-uuid"
        case "long":
            record["body"] = draws.words(2100, 2300)
        case "empty":
            record["body"] = ""
        case "no_body":
            del record["body"]
        case "no_id":
            del record["id"]
    return record


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
