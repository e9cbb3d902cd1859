"""`pgsluice bench`, tiny: its contenders end with the rows they must, or it fails."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgsluice.bench import latency, picture, scale
from pgsluice.bench.contenders import EXPORTS, FLOOR, OURS, PSQL, SCRIPT, Case, Contender
from pgsluice.bench.meter import Meter
from pgsluice.bench.peers.listing import BATCH
from pgsluice.bench.place import Place, TooSlowError
from pgsluice.bench.report import summary
from pgsluice.bench.runs import measure
from pgsluice.bench.sets import SETS, write

ROWS = 400


@pytest.fixture(scope="module")
def places(databases: Any, pg_bindir: Path, open_tmp: Path) -> Any:
    """A database for `pgsluice bench`, which makes and drops one of its own beside it."""
    info = conninfo_to_dict(databases.create("bench", databases.template))
    dsn = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**info)
    folder = open_tmp / "bench"
    folder.mkdir()
    folder.chmod(0o755)
    yield Place(dsn, str(pg_bindir / "psql"), folder)
    databases.drop("bench")


def bench(place: Place, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command on the server of this database."""
    command = [sys.executable, "-m", "pgsluice", "bench", *arguments]
    environ = {
        "PATH": f"{Path(place.psql).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(Path(picture.__file__).parents[2]),
        "DATABASE_URL": place.dsn,
    }
    return subprocess.run(
        command, env=environ, cwd=place.folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def report(places: Place) -> Any:
    """What one run over a CSV and an NDJSON set wrote."""
    done = bench(
        places, "--rows", str(ROWS), "--runs", "1", "--set", "users,articles",
        "--only", "first,changed,json,csv.gz", "--peers", "batch",
        "--json", "report.json", "--svg", "report.svg",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((places.folder / "report.json").read_text()) | {"printed": done.stdout}


def test_every_case_has_its_contenders(report: Any) -> None:
    cases = {(case["set"], case["kind"]): set(case["by"]) for case in report["cases"]}
    kinds = ("first", "changed", "json", "csv.gz")
    assert set(cases) == {(one, kind) for one in ("users", "articles") for kind in kinds}
    for (_, kind), names in cases.items():
        theirs = {PSQL} if kind in EXPORTS else {SCRIPT, FLOOR} if kind == "first" else {SCRIPT}
        assert names == {OURS, BATCH} | theirs, kind
    assert all(case["failed"] == {} for case in report["cases"])


def test_costs_are_told_beside_the_yardstick(report: Any) -> None:
    case = next(c for c in report["cases"] if c["kind"] == "first" and c["set"] == "users")
    assert case["rows"] == ROWS
    assert case["by"][case["yardstick"]]["ratio"] == 1
    for costs in case["by"].values():
        assert 0 < costs["least"] <= costs["seconds"] <= costs["most"]
        assert 0 < costs["ratio_least"] <= costs["ratio"] <= costs["ratio_most"]
        assert costs["wal_mb"] > 0
        assert costs["cpu_postgres"] is not None
    assert report["postgres"]["fsync"] == "off"  # as the tests' server has it: told, not assumed
    assert "a part of the yardstick" in report["printed"]
    assert set(report["notes"]) == {SCRIPT, FLOOR, PSQL, BATCH}


def test_the_picture_is_well_formed(report: Any, places: Place) -> None:
    drawn = (places.folder / "report.svg").read_text()
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    assert drawn.count('class="ours"') == len(report["cases"])


def test_a_contender_that_leaves_other_rows_is_found_out(places: Place) -> None:
    def half(meter: Meter, case: Case) -> None:
        meter.place.ask(
            "insert into app.users (email, name, role) values ('a@b.example', 'A', 'admin')"
        )

    cheat = Contender("half", lambda _case: True, half)
    one = [cheat]
    [found] = measure(places, SETS["users"], ROWS, ["first"], one, runs=2, limit=60)
    assert found.figures == {}
    assert "holds other rows than it must: 1|" in found.failed["half"]


def test_a_program_that_takes_too_long_is_ended(places: Place) -> None:
    too_slow = pytest.raises(TooSlowError, match=r"sh was ended after 0\.1 s")
    with too_slow, Meter(places, 0.1) as meter:
        meter.run(["sh", "-c", "sleep 60; true"])  # with a child, which ends too


def test_a_contender_that_takes_too_long_is_told_and_not_run_again(places: Place) -> None:
    def sleep(meter: Meter, case: Case) -> None:
        begun.append(case.kind)
        meter.run(["sleep", "60"])

    begun: list[str] = []
    slow = Contender("slow", lambda _case: True, sleep)
    found = measure(places, SETS["users"], ROWS, ["first"], [slow], runs=2, limit=0.1)
    assert (found[0].over, found[0].failed, begun) == ({"slow": 0.1}, {}, ["first"])
    told = summary(places, found, [slow], {}, 2)
    assert told["cases"][0]["over_limit"] == {"slow": 0.1}
    assert "&gt; 0.1 s" in picture.draw(told)


def test_a_hundredth_of_the_records_is_bad_and_a_tenth_changes(tmp_path: Path) -> None:
    for one in SETS.values():
        files = write(one, tmp_path, 1000)
        changed = write(one, tmp_path, 1000, changed=True)
        assert files.good == changed.good == 990
        before, after = (f.clean.read_text().splitlines() for f in (files, changed))
        assert sum(old != new for old, new in zip(before, after, strict=True)) == 100


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many requests as show that all of it works."""
    for name, count in {"_TIMES": 2, "_CLIENTS": 4, "_WAITING": 3}.items():
        monkeypatch.setattr(latency, name, count)
    for name, count in {"_CLIENTS": 2, "_ROUNDS": 1}.items():
        monkeypatch.setattr(scale, name, count)


@pytest.mark.usefixtures("few")
def test_what_is_small_is_timed_beside_what_is_large(
    places: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    found = latency.run(places, Namespace(rows=[2000], history=[0, 50]))
    assert {(w["requests"] > 0, w["lost"]) for w in found["waits"].values()} == {(True, 0)}
    assert found["waits"]["import of 100, 50 old jobs"]["p50_ms"] > 0
    assert places.ask("select count(*) from sluice.job where accepted < 0") == "50"
    latency.show(found)
    assert "users/bulk of 100 beside an import of 2,000" in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_what_grows_is_told(places: Place, capsys: pytest.CaptureFixture[str]) -> None:
    found = scale.run(places, Namespace(rows=[300, 600], imports=4, runs=1, limit=60))
    assert [(one["kind"], one["rows"]) for one in found["per_row"]] == [
        (kind, rows) for rows in (300, 600) for kind in ("first", "again", "csv")
    ]
    assert found["imports"]["stages_left"] == 0
    assert [one["processes"] for one in found["processes"]] == [1, 2, 1, 2]
    assert all(one["uploaded_rows"]["per_second"] > 0 for one in found["processes"])
    scale.show(found)
    assert "after 4 imports of 100 rows" in capsys.readouterr().out


def test_an_unknown_choice_is_refused(places: Place) -> None:
    done = bench(places, "--set", "users,planets")
    assert done.returncode == 2
    assert "planets: choose from users, articles, comments, wide, all" in done.stderr
