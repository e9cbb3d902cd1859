"""The network to Postgres is cut: the work goes on elsewhere, the worker comes back."""

import time
from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .conftest import House, one, until, users
from .fleet import Fleet
from .proxy import Proxy
from .test_kill import IN_MERGE, ROWS, SLOW, is_whole

BEHIND = "select count(*) from pg_stat_activity where application_name = 'pgsluice worker'"


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    where = conninfo_to_dict(fleet.dsn)
    with Proxy(str(where["host"]), int(str(where["port"]))) as opened:
        yield opened


def test_a_worker_that_is_cut_off_is_replaced_and_comes_back(fleet: Fleet, proxy: Proxy) -> None:
    fleet.api()
    house = House(fleet.folder, fleet.dsn, fleet.apis[0].url)
    far = fleet.worker(DATABASE_URL=make_conninfo(fleet.dsn, host="127.0.0.1", port=proxy.port))
    with fleet.connect() as conn:
        conn.execute(SLOW.encode())
        job_id = house.post(users(0, ROWS))
        until(lambda: one(conn, IN_MERGE))
        connections = one(conn, BEHIND)
        proxy.cut()
        cut = time.monotonic()
        near = fleet.worker()
        job = house.ended(job_id, 60)
        print(f"ended {time.monotonic() - cut:.1f} s after the cut")
        is_whole(house, job_id, conn)
        assert job["status"] == "completed"
        assert near.terminate() == 0
        # Postgres too gives up on whom it cannot reach
        until(lambda: one(conn, BEHIND) == 0, 45)
        print(f"Postgres saw it {time.monotonic() - cut:.1f} s after the cut")
        assert connections > 0
        proxy.mend()
        mended = time.monotonic()
        job = house.ended(house.post(users(ROWS, 100)), 60)
        print(f"back {time.monotonic() - mended:.1f} s after it was mended")
        assert job["status"] == "completed"
        assert far.terminate() == 0
    assert not fleet.tracebacks()
