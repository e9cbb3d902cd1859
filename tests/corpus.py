"""Users, articles and comments with known defects, and the verdicts that they must get.

The counts are kept while the files are made, so they know nothing of how pgsluice judges.
"""

import csv
import io
import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

WORDS = "rows stream through the sluice and the gate sorts those that hold from those that do not"
TAGS = ["sql", "news", "étude", "数据", "a,b", 'say "hi"', "", "null", "{x}", "back\\slash"]
STAMPS = ["2024-01-01T00:00:00Z", "2024-01-01T00:05:00.123456Z"]
Verdict = tuple[str, str]


@dataclass
class File:
    """A file for one resource: its bytes, how many records, and the verdicts of the bad ones."""

    resource: str
    name: str
    body: bytes = b""
    records: int = 0
    keyless: int = 0
    bad: Counter[Verdict] = field(default_factory=Counter)

    @property
    def good(self) -> int:
        """Every bad record has one verdict."""
        return self.records - sum(self.bad.values())


def text(rnd: random.Random, low: int, high: int) -> str:
    words = WORDS.split()
    return " ".join(rnd.choice(words) for _ in range(rnd.randint(low, high)))


def key(rnd: random.Random) -> str:
    return str(uuid.UUID(int=rnd.getrandbits(128), version=4))


def make(seed: int = 7, size: int = 2000) -> list[File]:
    """The three files, in the order in which they must be imported."""
    rnd = random.Random(seed)
    users, people = make_users(rnd, size)
    articles, texts = make_articles(rnd, size, people)
    return [users, articles, make_comments(rnd, size, people, texts)]


def make_users(rnd: random.Random, size: int) -> tuple[File, list[str]]:
    file, ids, out = File("users", "users.csv"), [], io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "email", "name", "role", "active", "created_at", "updated_at"])
    for n in range(size):
        active = rnd.choice(["true", "false", ""])
        row = [key(rnd), f"user{n}@example.org", f"User {n}", "author", active, *STAMPS]
        if n % 40 == 11:
            row[1] = "foo@bar"
            file.bad["email", "check"] += 1
        elif n % 50 == 17:
            row[1] = f"user{n - 7}@example.org"  # an even number, and those are good
            file.bad["email", "duplicate"] += 1
        elif n % 90 == 5:
            row[3] = "boss"
            file.bad["role", "check"] += 1
        elif n % 90 == 7:
            row[4] = "perhaps"
            file.bad["active", "type"] += 1
        elif n % 60 == 1:
            row[0] = ""
        else:
            ids.append(row[0])
        writer.writerow(row)
    file.body, file.records = out.getvalue().encode(), size
    return file, ids


def make_articles(rnd: random.Random, size: int, people: list[str]) -> tuple[File, list[str]]:
    file, ids, lines = File("articles", "articles.ndjson"), [], []
    for n in range(size):
        record = {
            "id": key(rnd),
            "slug": f"article-{n}",
            "title": f"Article {n}",
            "content": text(rnd, 12, 60),
            "author_id": rnd.choice(people),
            "tags": rnd.sample(TAGS, rnd.randint(0, 4)),
            "status": "draft",
        }
        if n % 3 == 0:
            record |= {"status": "published", "published_at": "2024-05-01T08:00:00.000001Z"}
        if n % 70 == 3:
            record["slug"] = f"Not Kebab {n}"
            file.bad["slug", "check"] += 1
        elif n % 80 == 20:
            record["slug"] = f"article-{n - 1}"
            file.bad["slug", "duplicate"] += 1
        elif n % 75 == 6:
            record["author_id"] = key(rnd)
            file.bad["author_id", "reference"] += 1
        elif n % 65 == 10:
            record |= {"status": "draft", "published_at": "2024-05-01T08:00:00Z"}
            file.bad["published_at", "check"] += 1
        elif n % 55 == 2:
            del record["id"]
        else:
            ids.append(record["id"])
        lines.append(json.dumps(record, ensure_ascii=bool(n % 2)))
    file.body, file.records = ("\n".join(lines) + "\n").encode(), size
    return file, ids


def make_comments(rnd: random.Random, size: int, people: list[str], texts: list[str]) -> File:
    file, lines = File("comments", "comments.ndjson"), []
    for n in range(size):
        record = {
            "id": key(rnd), "article_id": rnd.choice(texts), "user_id": rnd.choice(people),
            "body": text(rnd, 1, 30) + rnd.choice(["", " 👍", "\nsecond line", '\t"quoted", so'])
        }  # fmt: skip
        if n % 60 == 3:
            record["article_id"] = key(rnd)
            file.bad["article_id", "reference"] += 1
        elif n % 70 == 4:
            record["user_id"] = "not-a-uuid"
            file.bad["user_id", "type"] += 1
        elif n % 80 == 5:
            record["body"] = text(rnd, 2100, 2200)
            file.bad["body", "check"] += 1
        elif n % 90 == 6:
            del record["body"]
            file.bad["body", "required"] += 1
        elif n % 50 == 7:
            del record["id"]
            file.keyless += 1
        lines.append(json.dumps(record, ensure_ascii=bool(n % 2)))
    file.body, file.records = ("\n".join(lines) + "\n").encode(), size
    return file
