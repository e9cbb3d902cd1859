"""SLUICE_STAGE=unlogged: faster, and honest about what a crash of Postgres took."""

from collections.abc import Callable

from .conftest import until, users
from .fleet import Fleet

PAUSE = """
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.5); return null; end $$;
create trigger pause after insert on app.users
    for each statement execute function public.pause();
"""
WRITES = "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"


def test_an_unlogged_upload_that_a_crash_took_fails_and_says_so(
    new_fleet: Callable[..., Fleet],
) -> None:
    fleet = new_fleet(SLUICE_STAGE="unlogged")
    fleet.run(PAUSE)
    fleet.api()
    given = {"resource": "users", "format": "csv"}
    with fleet.client() as client:
        waiting = client.post("/v1/imports", params=given, content=users(0, 2_000))["id"]
        fleet.server.crash()
        fleet.server.recover()
        fleet.worker()
        under_way = client.post("/v1/imports", params=given, content=users(2_000, 2_000))["id"]
        until(lambda: fleet.one(WRITES))
        fleet.server.crash()
        fleet.server.recover()
        for job_id in (waiting, under_way):
            job = client.ended(f"/v1/imports/{job_id}")
            assert (job["status"], job["error"]["title"]) == ("failed", "The data was lost")
            assert job["counts"] == dict.fromkeys(job["counts"], 0) | {
                "received": 2_000, "unprocessed": 2_000
            }  # fmt: skip
        assert fleet.one("select count(*) from app.users") == 0
        again = client.post("/v1/imports", params=given, content=users(0, 2_000))["id"]
        assert client.ended(f"/v1/imports/{again}")["counts"]["inserted"] == 1_980
