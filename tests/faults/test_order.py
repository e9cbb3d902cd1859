"""The order of acceptance, when what ties resources comes while jobs wait."""

import itertools

from .client import Client
from .conftest import until
from .fleet import Fleet

# `gate` is tied to both others, which are not tied to each other, and takes its time.
TABLES = """
create table public.parents (id integer primary key);
create table public.kids (id integer primary key, parent integer);
create table public.gate (
    id integer primary key, parent integer references public.parents, kid integer
    references public.kids
);
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep(tg_argv[0]::float); return null; end $$;
create trigger pause after insert on public.gate
    for each statement execute function public.pause(2);
create trigger pause after insert on public.parents
    for each statement execute function public.pause(0.5);
select sluice.register('parents', 'public.parents'), sluice.register('kids', 'public.kids'),
    sluice.register('gate', 'public.gate');
"""
TIE = """
alter table public.kids add constraint kids_parent_fkey
    foreign key (parent) references public.parents
"""
STATES = "select string_agg(state, ' ' order by accepted) from sluice.job"


def csv(header: str, count: int) -> bytes:
    """`count` records whose fields are all the same number."""
    lines = (",".join([str(n)] * (header.count(",") + 1)) for n in range(count))
    return "\n".join([header, *lines, ""]).encode()


def post(client: Client, resource: str, body: bytes) -> str:
    given = {"resource": resource, "format": "csv"}
    return str(client.post("/v1/imports", params=given, content=body)["job_id"])


def test_a_foreign_key_added_while_jobs_wait_keeps_the_order_of_acceptance(
    fleet: Fleet, client: Client
) -> None:
    fleet.run(TABLES)
    fleet.api(), fleet.api()
    for _ in range(3):
        fleet.worker()
    gate = post(client, "gate", b"id\n1\n")
    # A gate of one record is written in the transaction that begins it.
    until(lambda: fleet.one("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"))
    jobs = [
        post(client, "parents", csv("id", 30_000)),
        post(client, "kids", csv("id,parent", 900)),
        post(client, "kids", csv("id,parent", 30_000)),
        post(client, "parents", csv("id", 10)),
    ]
    fleet.run(TIE)
    ended = [client.ended(f"/v1/imports/{job_id}") for job_id in (gate, *jobs)]
    assert [job["status"] for job in ended] == ["completed"] * 5
    assert [job["outcome"] for job in ended] == ["clean"] * 5, "no kid came before its parent"
    assert [job["counts"]["inserted"] for job in ended] == [1, 30_000, 900, 29_100, 0]
    for earlier, later in itertools.pairwise(ended):
        assert earlier["completed_at"] <= later["started_at"]


def test_the_order_of_acceptance_holds_when_workers_come_late(fleet: Fleet, client: Client) -> None:
    fleet.run(TABLES)
    fleet.api()
    jobs = [
        post(client, "parents", csv("id", 20_000)),
        post(client, "kids", csv("id,parent", 20_000)),
        post(client, "kids", csv("id,parent", 30)),
    ]
    fleet.run(TIE)
    assert fleet.one(STATES) == "pending pending pending"
    for _ in range(3):
        fleet.worker(wait=False)
    ended = [client.ended(f"/v1/imports/{job_id}") for job_id in jobs]
    assert [job["outcome"] for job in ended] == ["clean"] * 3
    for earlier, later in itertools.pairwise(ended):
        assert earlier["completed_at"] <= later["started_at"]
