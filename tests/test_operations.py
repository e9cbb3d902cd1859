"""What operators are given holds: containers, units, alerts, the dashboard and their words."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from pgsluice.settings import Settings, env_name

TOP = Path(__file__).resolve().parents[1]
HERE = TOP / "docs" / "operations"
# They tell of a process or of Prometheus itself, and have no family of ours.
FOREIGN = {"up"}


def run(*words: str | Path) -> str:
    """A program's output; it must end well."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((HERE / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    """The names of metrics that a query asks for."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]|\b(by|without|on)\s*\([^)]*\)", "", expression)
    words = re.findall(r"[a-z_][a-z0-9_]*(?!\w|\s*\()", bare)
    return {word for word in words if "_" in word or word in FOREIGN}


@pytest.fixture(scope="module")
def given(service: Any) -> set[str]:
    """Every name that GET /metrics gives, those of histograms with their endings."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        assert client.get("/v1/resources").status_code == 200
        posted = client.post(
            "/v1/imports?resource=users",
            content=b"email,name,role\nann@example.org,Ann,reader\n",
            headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
        )
        assert posted.json()["status"] == "completed"
        text = client.get("/metrics").text
    return set(re.findall(r"^([a-z_]+)", text, re.MULTILINE))


def test_the_alerts_ask_for_metrics_that_there_are(given: set[str]) -> None:
    for rule in rules():
        asked = metrics_in(rule["expr"])
        assert asked, rule
        assert asked - given - FOREIGN == set(), rule["alert"]


def test_the_dashboard_asks_for_metrics_that_there_are(given: set[str]) -> None:
    board = json.loads((HERE / "grafana" / "pgsluice.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) >= len(board["panels"]) > 10
    for query in queries:
        assert metrics_in(query) - given - FOREIGN == set(), query
    ours = {name for name in given if name.startswith("bulk_import_export_")}
    shown = set().union(*map(metrics_in, queries))
    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in ours}
    missing = families - {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown}
    assert missing == set(), "the dashboard shows every family"


def test_no_two_panels_of_the_dashboard_overlap() -> None:
    panels = json.loads((HERE / "grafana" / "pgsluice.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_is_in_the_runbook_and_nothing_else() -> None:
    told = re.findall(r"^## (\w+)$", (HERE / "runbook.md").read_text(), re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]


def test_the_queries_of_the_runbook_are_understood(conn: psycopg.Connection) -> None:
    queries = re.findall(r"`(select [^`]+)`", (HERE / "runbook.md").read_text())
    assert len(queries) > 5
    for query in queries:
        conn.execute(("explain " + query.replace("'…'", "null")).encode())


def test_the_settings_that_operators_read_of_exist() -> None:
    known = {env_name(field) for field in Settings.__struct_fields__}
    for file in [*HERE.rglob("*.md"), TOP / "docker-compose.yml"]:
        named = set(re.findall(r"\bSLUICE_[A-Z_]+", file.read_text()))
        assert named - known == set(), file


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_takes_the_alerts_and_they_fire_when_they_should() -> None:
    run("promtool", "check", "config", "--syntax-only", HERE / "prometheus.yml")
    run("promtool", "check", "rules", HERE / "alerts.yml")
    run("promtool", "test", "rules", HERE / "alerts_test.yml")


def test_every_alert_is_tried() -> None:
    tests = yaml.safe_load((HERE / "alerts_test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in (HERE / "systemd").iterdir():
        # a unit whose program is missing is refused
        text = unit.read_text().replace("/opt/pgsluice/bin/pgsluice", "/bin/true")
        copy = tmp_path / unit.name.replace("@.", "@1.")
        copy.write_text(text)
        assert run("systemd-analyze", "verify", copy) == ""


def test_units_and_containers_run_commands_that_there_are() -> None:
    compose = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]
    asked = [compose[name]["command"] for name in ("migrate", "api", "worker")]
    for unit in (HERE / "systemd").iterdir():
        found = re.search(r"^ExecStart=\S+/pgsluice (.*)$", unit.read_text(), re.MULTILINE)
        assert found
        asked.append(found[1].split())
    for words in set(map(tuple, asked)):
        told = run(sys.executable, "-m", "pgsluice", words[0], "--help")
        assert all(word in told for word in words[1:])


def test_the_compose_file_is_one() -> None:
    file = TOP / "docker-compose.yml"
    run(
        Path(sys.executable).with_name("check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        file,
    )


def test_containers_listen_to_this_machine_only_and_need_what_is_there() -> None:
    compose = yaml.safe_load((TOP / "docker-compose.yml").read_text())
    services = compose["services"]
    ports = [port for one in services.values() for port in one.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port) for port in ports), ports
    defaults = {int(re.findall(r":-(\d+)", port)[0]) for port in ports}
    assert defaults == {8080, 3000, 9090, 5432, 5050, 8888}
    told = (HERE / "README.md").read_text()
    for variable in re.findall(r"\$\{([A-Z_]+)", (TOP / "docker-compose.yml").read_text()):
        assert variable in told, variable
    for one in services.values():
        for needed in one.get("depends_on", {}):
            assert needed in services
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            assert (
                (TOP / source).is_file() if source.startswith(".") else source in compose["volumes"]
            )


def test_the_image_is_not_root_and_tells_how_it_is() -> None:
    text = (TOP / "Dockerfile").read_text()
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last


def test_the_image_is_built_of_what_the_wheel_needs_and_nothing_else() -> None:
    lines = (TOP / ".dockerignore").read_text().splitlines()
    assert "*" in lines, "what is not named stays out: settings, secrets, data"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {Path(name).parts[0] for name in (*wheel["packages"], *wheel["force-include"])}
    needed |= {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert let_in == needed
