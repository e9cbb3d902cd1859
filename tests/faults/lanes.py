"""Forty imports for five groups of tables, each with the verdicts that it must get."""

import random
from dataclasses import dataclass, field

from .oracle import Row, Table, Upload, key, words

# What ships has its own tables; these are a DBA's. `items` writes slowly, so that it is killed in
# the midst of it; `ledger` is written whole or not at all; `tree` refers to itself.
TABLES = """
create table public.ledger (number integer primary key, version integer not null, note text);
create table public.items (
    sku text primary key, price numeric not null check (price >= 0), amount integer not null
);
create table public.tree (id text primary key, parent text references public.tree, label text);
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.2); return null; end $$;
create trigger pause after insert or update on public.items
    for each statement execute function public.pause();
select sluice.register('ledger', 'public.ledger'), sluice.register('items', 'public.items'),
    sluice.register('tree', 'public.tree');
"""
LEDGER = 2000


@dataclass
class Corpus:
    """Lanes of uploads: those of a lane are posted one after the other."""

    rnd: random.Random
    size: int
    lanes: list[list[Upload]] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)

    def add(self, resource: str, schema: str, name: str) -> Table:
        table = self.tables[resource] = Table(resource, f"{schema}.{resource}", name)
        return table


def make(rnd: random.Random, size: int) -> Corpus:
    """40 imports; `size` is the number of records of the largest."""
    corpus = Corpus(rnd, size)
    corpus.lanes = [_people(corpus), _ledger(corpus), _items(corpus), _tree(corpus)]
    assert sum(map(len, corpus.lanes)) == 40
    return corpus


def _sizes(corpus: Corpus, count: int) -> list[int]:
    """Sizes from 10 to the half of the largest, many of them small."""
    top = corpus.size // 20
    return [int(10 * (top ** corpus.rnd.random())) for _ in range(count)]


def _form(corpus: Corpus) -> str:
    return corpus.rnd.choice(("csv", "ndjson"))


def _people(corpus: Corpus) -> list[Upload]:
    """Users, articles and comments that refer to each other: 21 files, in this order."""
    users = corpus.add("users", "app", "id")
    articles = corpus.add("articles", "app", "id")
    comments = corpus.add("comments", "app", "id")
    lane = [users.upload(_users(corpus, corpus.size), "csv")]
    for number, count in enumerate(_sizes(corpus, 5)):
        dry = {"dry_run": "true"} if number == 3 else {}
        lane += [
            users.upload(_users(corpus, count), _form(corpus)),
            articles.upload(_articles(corpus, users, count), _form(corpus)),
            users.upload(_renamed(corpus, users, count), _form(corpus), mode="update", **dry),
            comments.upload(_comments(corpus, users, articles, count), _form(corpus)),
        ]
    return lane


def _users(corpus: Corpus, count: int) -> list[tuple[Row, bool]]:
    records = []
    for n in range(count):
        name = key(corpus.rnd)
        is_good = n % 50 != 7
        email = f"{name[:13]}@example.org" if is_good else f"{name}@nowhere"
        row = {"id": name, "email": email, "name": f"User {n}", "role": "author"}
        records.append((row, is_good))
    return records


def _renamed(corpus: Corpus, users: Table, count: int) -> list[tuple[Row, bool]]:
    """Updates of users that are there, some of which change nothing, and a few that are not."""
    found = corpus.rnd.sample(sorted(users.rows), min(count, len(users.rows)))
    records: list[tuple[Row, bool]] = []
    for n, name in enumerate(found):
        given = users.rows[name]["name"]
        records.append(({"id": name, "name": given if n % 4 else f"{given} {count}"}, True))
    return [*records, ({"id": key(corpus.rnd), "name": "Nobody"}, True)]


def _articles(corpus: Corpus, users: Table, count: int) -> list[tuple[Row, bool]]:
    authors, records = sorted(users.rows), []
    for n in range(count):
        name, is_good = key(corpus.rnd), n % 20 != 3
        row = {
            "id": name,
            "slug": f"a-{name}" if n % 40 != 3 else f"Not {name}",
            "title": f"Article {n}",
            "body": words(corpus.rnd, 12),
            "author_id": key(corpus.rnd) if n % 40 == 23 else corpus.rnd.choice(authors),
            "status": "draft",
        }
        records.append((row, is_good))
    return records


def _comments(corpus: Corpus, users: Table, articles: Table, count: int) -> list[tuple[Row, bool]]:
    people, texts, records = sorted(users.rows), sorted(articles.rows), []
    for n in range(count):
        is_good = n % 30 != 5
        row = {
            "id": key(corpus.rnd),
            "article_id": corpus.rnd.choice(texts) if is_good else key(corpus.rnd),
            "user_id": corpus.rnd.choice(people),
            "body": words(corpus.rnd, 5),
        }
        records.append((row, is_good))
    return records


def _ledger(corpus: Corpus) -> list[Upload]:
    """One table in eight versions, each whole or not at all; two of them come to nothing."""
    ledger = corpus.add("ledger", "public", "number")
    lane = []
    for version in range(1, 9):
        records: list[tuple[Row, bool]] = [
            ({"number": str(n), "version": str(version), "note": f"n{n}"}, True)
            for n in range(LEDGER)
        ]
        if version == 4:
            records[-1] = ({"number": "many", "version": "4", "note": "bad"}, False)
        options = {"atomic": "true"} if version != 6 else {"dry_run": "write"}
        lane.append(ledger.upload(records, "csv" if version % 2 else "ndjson", **options))
    return lane


def _items(corpus: Corpus) -> list[Upload]:
    """The same articles of a shop again and again, in the order of their prices."""
    items = corpus.add("items", "public", "sku")
    lane = []
    for turn, count in enumerate((corpus.size // 2, *_sizes(corpus, 7))):
        records = []
        for n in range(count):
            is_good = n % 25 != 1
            price = f"{turn}.{n % 100:02}" if is_good else f"-{turn + 1}.00"
            sku = f"sku{n if turn % 2 == 0 else n * 3}"
            records.append(({"sku": sku, "price": price, "amount": str(n % 7)}, is_good))
        lane.append(items.upload(records, _form(corpus)))
    return lane


def _tree(corpus: Corpus) -> list[Upload]:
    """Three forests; a root that cannot be takes its branch with it."""
    tree = corpus.add("tree", "public", "id")
    lane = []
    for turn, count in enumerate((10, 300, 60)):
        records: list[tuple[Row, bool]] = []
        for n in range(count):
            parent = f"t{turn}-{(n - 1) // 3}" if n else f"t{max(turn - 1, 0)}-0"
            records.append(({"id": f"t{turn}-{n}", "parent": parent, "label": f"L{n}"}, True))
        if turn == 2:
            # the last of its branch, so that it takes nobody with it
            records[-1] = ({"id": f"t{turn}-{count - 1}", "parent": "none", "label": "x"}, False)
        lane.append(tree.upload(records, "csv" if turn else "ndjson"))
    return lane
