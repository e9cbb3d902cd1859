"""An API that dies while files come in: what it had begun is gone, or it is whole."""

import contextlib
import random
import threading
import time

import httpx
import pytest

from .client import Client
from .conftest import Drip, until, users
from .fleet import Fleet

STAGES = "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
JOBS = "select count(*) from sluice.job"
# Instead of a minute of silence.
SILENT = """
update sluice.job set heartbeat_at = heartbeat_at - interval '2 minutes';
update sluice.idempotency set beat_at = beat_at - interval '2 minutes';
"""


@pytest.mark.parametrize("moment", ["nothing committed", "a segment committed", "all but the end"])
def test_an_upload_dies_with_its_api_and_its_key_works_again(
    fleet: Fleet, client: Client, moment: str
) -> None:
    dies, _ = fleet.api(), fleet.api()
    fleet.worker()
    headers = {"Idempotency-Key": "died", "Content-Type": "text/csv"}
    body = users(0, 60_000)
    with Drip(dies.url, "Idempotency-Key: died") as drip:
        match moment:
            case "nothing committed":
                drip.send(body[:1_000])
                until(lambda: fleet.one("select count(*) from sluice.idempotency"))
            case "a segment committed":
                drip.send(body[:-100_000])
                until(lambda: fleet.one("select coalesce(max(received), 0) from sluice.job"))
            case _:
                drip.send(body)
                until(lambda: fleet.one("select coalesce(max(received), 0) from sluice.job"))
        dies.kill()
    # Whoever sends again at once is told to wait: nobody knows yet that the first one died.
    other = fleet.apis[1].url
    told = httpx.post(f"{other}/v1/imports?resource=users", content=body, headers=headers)
    assert told.status_code == 409, told.text
    fleet.run(SILENT)
    # a worker may be casting what had arrived: then it is swept a moment later
    until(lambda: fleet.one("select sluice.sweep()") and fleet.one(STAGES) == 0, 5)
    assert fleet.one(JOBS) == 0
    fleet.apis.pop(0)
    posted = client.post("/v1/imports", "died", params={"resource": "users"}, content=body,
                         headers={"Content-Type": "text/csv"})  # fmt: skip
    job = client.ended(f"/v1/imports/{posted['job_id']}")
    assert (job["status"], job["counts"]["inserted"]) == ("completed", 59_400), job
    assert fleet.one(JOBS) == 1
    assert fleet.one("select count(*) from app.users") == 59_400
    until(lambda: fleet.one(STAGES) == 0, 5)


def test_an_upload_cut_at_any_moment_of_its_acceptance_is_there_once(
    fleet: Fleet, client: Client
) -> None:
    fleet.api(), fleet.api()
    fleet.worker()
    rnd = random.Random(1)
    rounds = 6
    for number in range(rounds):
        dies = fleet.apis[number % 2]
        body = users(number * 3_000, 3_000)
        headers = {"Idempotency-Key": f"k{number}", "Content-Type": "text/csv"}
        threading.Timer(rnd.uniform(0.0, 0.06), dies.kill).start()
        with contextlib.suppress(httpx.TransportError):
            httpx.post(f"{dies.url}/v1/imports?resource=users", content=body, headers=headers)
        until(lambda api=dies: not api.runs(), 5)
        # Postgres ends what the dead one had begun when it notices, within two seconds.
        time.sleep(0.2)
        fleet.run(SILENT)
        dies.start().wait()
        job = client.post(
            "/v1/imports", f"k{number}", params={"resource": "users"}, content=body,
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        job = client.ended(f"/v1/imports/{job['job_id']}")
        assert (job["status"], job["counts"]["inserted"]) == ("completed", 2_970), job
    assert fleet.one("select count(*) from sluice.job where state <> 'receiving'") == rounds
    assert fleet.one("select count(*) from app.users") == rounds * 2_970
    fleet.run(SILENT)
    fleet.one("select sluice.sweep()")
    until(lambda: fleet.one(STAGES) == 0, 5)
    assert fleet.one(JOBS) == rounds
