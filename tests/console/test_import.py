"""Import in the console: a file, its header, a dry run, the run itself."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect

from ..api.conftest import SLOW
from ..conftest import Service
from .conftest import PHONE, faults, fits

PEOPLE = (
    "Mail;Full name;role;active;shoe size\n"
    "ann@example.org;Ann;editor;true;38\n"
    "bob;Bob;king;maybe;41\n"
    "cy@example.org;Cy;reader;;40\n"
)


def choose(page: Page, path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    page.set_input_files("input[type=file]", path)


def cells(page: Page, region: str) -> list[list[str]]:
    """The texts of a table."""
    rows = page.get_by_role("region", name=region, exact=True).locator("tbody tr")
    expect(rows.first).to_be_visible()
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def test_from_a_file_to_rows(
    visit: Callable[..., Page],
    service: Service,
    http: httpx.Client,
    post: Callable[..., Any],
    tmp_path: Path,
) -> None:
    post("users.csv", "email,name,role\nann@example.org,Anne,reader\n")
    page = visit(service, "/import")
    choose(page, tmp_path / "people.csv", PEOPLE)

    # the resource is guessed from the header, the fields from their names
    assert ".xlsx" in str(page.locator("input[type=file]").get_attribute("accept"))
    expect(page.get_by_label("Resource")).to_have_value("users")
    expect(page.get_by_label("Field for role")).to_be_visible()
    matched = [row[2] for row in cells(page, "Header and fields")]
    assert matched == [
        "no such field",
        "no such field",
        "same name",
        "same name",
        "no such field",
    ]
    # what is no field has to be decided; the names that come near are offered
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_label("Field for Mail")).to_be_focused()
    expect(page.get_by_text("choose a field for each")).to_be_visible()
    page.get_by_role("button", name="Take Mail as email, Full name as name").click()
    expect(page.get_by_label("Field for Full name")).to_have_value("name")
    page.get_by_label("Field for shoe size").select_option("leave out")
    expect(page.get_by_text("left out")).to_be_visible()
    assert faults(page) == []

    # tried first: counts, differences, errors, and nothing written
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_text("Dry run: nothing was written.")).to_be_visible()
    assert cells(page, "Differences") == [
        ["1", "name", "Anne", "Ann"],
        ["1", "role", "reader", "editor"],
    ]
    kinds = cells(page, "Errors by field and code")
    assert [(row[0], row[1]) for row in kinds] == [
        ("active", "type"),
        ("email", "check"),
        ("role", "check"),
    ]
    page.get_by_role("button", name="Show the errors check of role").click()
    expect(page.get_by_role("region", name="Errors", exact=True).locator("tbody tr")).to_have_count(
        1
    )
    assert cells(page, "Errors")[0][:4] == ["2", "3", "role", "king"]
    assert faults(page) == []
    names = http.get("/v1/exports", params={"resource": "users", "fields": "name"})
    assert names.json() == {"name": "Anne"}

    # then for real
    page.get_by_role("button", name="Run for real").click()
    expect(page.get_by_role("heading", name="people.csv into users")).to_be_focused()
    expect(page.get_by_text("1 new row, 1 changed, 0 as they were")).to_be_visible()
    assert "#/jobs/" in page.url
    assert page.title() == "people.csv into users · pgsluice"


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.csv.gz", gzip.compress(b"slug,title,content\na,b,c\n"), ["slug", "title", "content"]),
        ("a.csv", "sep=;\nslug;title\na;b\n", ["slug", "title"]),
        ("a.csv", "slug\ttitle\na\tb\n".encode("utf-16"), ["slug", "title"]),
        ("a.json", '[{"slug": "a", "title": "}{"},\n {"slug": "b", "tags": ["x"]}]', None),
        ("a.ndjson", '{"slug": "a"}\n{"title": 1, "tags": []}\n{"cut', ["slug", "title", "tags"]),
    ],
    ids=["gzip", "sep", "utf-16", "json", "ndjson"],
)
def test_the_header_is_seen_before_anything_is_sent(
    visit: Callable[..., Page],
    service: Service,
    tmp_path: Path,
    name: str,
    content: str | bytes,
    names: list[str] | None,
) -> None:
    page = visit(service, "/import")
    choose(page, tmp_path / name, content)
    shown = [row[0] for row in cells(page, "Header and fields")]
    assert shown == (names or ["slug", "title", "tags"])
    expect(page.get_by_label("Resource")).to_have_value("articles")


def test_a_text_that_is_not_utf_8_is_noticed(
    visit: Callable[..., Page], service: Service, tmp_path: Path
) -> None:
    page = visit(
        service,
        "/import?resource=users",
        viewport={"width": 390, "height": 844},
        color_scheme="dark",
    )
    content = "email;name;role\nj@example.org;Jörg Müller;reader\n".encode("windows-1252")
    choose(page, tmp_path / "leute.csv", content)
    expect(page.get_by_text("read as windows-1252")).to_be_visible()
    expect(page.get_by_text("Jörg Müller")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Import without a dry run").click()
    expect(page.get_by_text("1 new row")).to_be_visible()
    assert fits(page)
    assert faults(page) == []


def test_a_refusal_is_told_in_the_words_of_the_service(
    visit: Callable[..., Page], service: Service, tmp_path: Path
) -> None:
    page = visit(service, "/import")
    choose(page, tmp_path / "a.csv", "email,nothing like it\na@example.org,1\n")
    page.get_by_role("button", name="Leave it out").click()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Match rows by").fill("shoe")
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Not accepted")).to_contain_text("shoe")
    # a button that was off while it worked has the focus again
    expect(page.get_by_role("button", name="Dry run", exact=True)).to_be_focused()
    # the same words meet a file of nothing
    choose(page, tmp_path / "empty.csv", "")
    expect(page.get_by_text("The file is empty")).to_be_visible()
    page.get_by_label("Resource").select_option("users")
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("starts with a header line")


def test_a_dry_run_may_write_and_fill_in_what_the_file_lacks(
    visit: Callable[..., Page], service: Service, http: httpx.Client, tmp_path: Path
) -> None:
    page = visit(service, "/import", viewport=PHONE)
    choose(page, tmp_path / "short.csv", "email,name\nshort@example.org,Short\n")
    page.get_by_text("Options", exact=True).click()
    page.get_by_role("button", name="Add a value").click()
    page.get_by_label("Field without a value").select_option("role")
    page.get_by_label("Value where role is missing").fill("editor")
    page.get_by_label("A dry run").select_option("write")
    assert fits(page)
    assert faults(page) == []
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_text("It would be 1 new row")).to_be_visible()
    job = page.get_by_role("link", name="Open as a job").get_attribute("href") or ""
    made = http.get(f"/v1/imports/{job.rpartition('/')[2]}").json()
    assert (made["options"]["dry_run"], made["options"]["defaults"]) == (
        "write",
        {"role": "editor"},
    )
    # whoever looks at the job and comes back finds the page as it was left
    page.get_by_role("link", name="Open as a job").click()
    expect(page.get_by_text("Where the file has no value")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Value where role is missing")).to_have_value("editor")
    page.get_by_role("button", name="Run for real").click()
    expect(page.get_by_text("1 new row, 0 changed")).to_be_visible()
    made = http.get("/v1/exports", params={"resource": "users", "email": "short@example.org"})
    assert made.json()["role"] == "editor"


def test_a_file_is_sent_on_while_other_pages_are_looked_at(
    visit: Callable[..., Page], service: Service, tmp_path: Path
) -> None:
    page = visit(service, "/import?resource=users")
    rows = "".join(f"far{n}@example.org,Far {n},reader\n" for n in range(30_000))
    choose(page, tmp_path / "far.csv", "email,name,role\n" + rows)
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
    page.get_by_role("button", name="Import without a dry run").click()
    expect(page.get_by_text("Sending far.csv")).to_be_visible()
    page.get_by_role("link", name="Resources", exact=True).click()
    expect(page.get_by_role("heading", name="Resources")).to_be_focused()
    expect(page.get_by_role("progressbar", name="Sending far.csv")).to_be_visible()
    assert faults(page) == []
    expect(page.get_by_text("far.csv is sent.")).to_be_visible()
    page.get_by_role("link", name="Its job").click()
    expect(page.get_by_text("30,000 new rows")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("far.csv is sent.")).to_have_count(0)


def test_an_import_is_watched_and_cancelled(
    visit: Callable[..., Page], service: Service, tmp_path: Path
) -> None:
    with psycopg.connect(service.dsn, autocommit=True) as database:
        # long enough to be seen on any machine; the cancel ends it
        database.execute(SLOW.replace("pg_sleep(1)", "pg_sleep(20)").encode())
    page = visit(service, "/import?resource=users")
    rows = "".join(f"w{n}@example.org,W {n},reader\n" for n in range(60_000))
    choose(page, tmp_path / "many.csv", "email,name,role\n" + rows)
    page.get_by_role("button", name="Import without a dry run").click()
    expect(page.get_by_text("writing ·")).to_be_visible()
    expect(page.get_by_text("of 60,000 rows")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The job was cancelled.")).to_be_visible()
    expect(page.get_by_text("not processed")).to_be_visible()
