"""docs/reference says what the source says, and so do README and .env.example of the settings."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from .commands import commands_page
from .errors import errors_page
from .http import http_pages
from .markdown import MADE
from .metrics import metrics_page
from .options import options_page
from .schemas import objects_page
from .settings import env_example, readme, settings_page
from .sql import sql_page

TOP = Path(__file__).resolve().parents[2]
HERE = TOP / "docs" / "reference"


@pytest.fixture(scope="module")
def conn(service: Any) -> Iterator[psycopg.Connection]:
    """The database of the service."""
    with psycopg.connect(service.dsn) as connection:
        yield connection


@pytest.fixture(scope="module")
def options(conn: psycopg.Connection) -> set[str]:
    """The options that SQL judges, and what says which file goes where."""
    found = conn.execute("select unnest(sluice.option_names())").fetchall()
    return {name for (name,) in found} | {"resource", "format", "file_name"}


@pytest.fixture(scope="module")
def pages(service: Any, conn: psycopg.Connection, options: set[str]) -> dict[Path, str]:
    """Every page as the source has it: the service is asked for what only it can tell."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        posted = client.post(
            "/v1/imports?resource=users",
            content=b"email,name,role\nann@example.org,Ann,reader\n",
            headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
        )
        assert posted.json()["status"] == "completed"
        document = client.get("/openapi.json").json()
        metrics = client.get("/metrics").text
    alerts = yaml.safe_load((TOP / "docs" / "operations" / "alerts.yml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    parameters = document["paths"]["/v1/imports"]["post"]["parameters"]
    return {
        HERE / "command-line.md": commands_page(),
        HERE / "errors.md": errors_page(document, TOP / "sql"),
        HERE / "metrics.md": metrics_page(metrics, rules),
        HERE / "options.md": options_page(parameters, options),
        HERE / "settings.md": settings_page(),
        HERE / "sql.md": sql_page(conn),
        HERE / "http" / "objects.md": objects_page(document),
        **{HERE / "http" / name: text for name, text in http_pages(document, options).items()},
        TOP / ".env.example": env_example((TOP / ".env.example").read_text()),
        TOP / "README.md": readme((TOP / "README.md").read_text()),
    }


def test_every_page_is_as_the_source_says(pages: dict[Path, str]) -> None:
    """PGSLUICE_SNAPSHOTS=write makes them anew: look at the diff."""
    if os.environ.get("PGSLUICE_SNAPSHOTS") == "write":
        for path, text in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    stale = [
        str(path.relative_to(TOP))
        for path, text in pages.items()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "`just reference` makes them anew"


def test_no_page_is_left_of_what_there_was(pages: dict[Path, str]) -> None:
    made = {path for path in HERE.rglob("*.md") if path.read_text().startswith(MADE)}
    assert made - set(pages) == set()


def test_every_option_that_sql_knows_is_documented(
    pages: dict[Path, str], options: set[str]
) -> None:
    told = set(re.findall(r"^### (\w+)$", pages[HERE / "options.md"], re.MULTILINE))
    assert told == options
    readme_told = set(re.findall(r"^\| `(\w+)` \|", pages[TOP / "README.md"], re.MULTILINE))
    assert options - readme_told == {"file_name"}, "the table of options in README.md"
