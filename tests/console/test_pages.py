"""The pages that show and steer what the service has: read as people do, by name and role."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect

from .conftest import PHONE, faults

Visit = Callable[..., Page]
USERS = "email,name,role,active\n" + "".join(
    f"u{n}@example.org,User {n},{'boss' if n % 10 == 0 else 'reader'},{n % 2 == 0}\n"
    for n in range(60)
)
PAGES = ("/", "/jobs", "/exports?resource=users", "/resources", "/resources/articles")
MORE_PAGES = ("/schedules", "/keys")


@pytest.fixture(scope="module")
def filled(service: Any) -> Any:
    """A service with a partial import, a clean one, a dry run, a file, and a schedule."""
    with httpx.Client(base_url=service.url, timeout=60) as http:
        for name, options in (("people.csv", {}), ("again.csv", {"dry_run": "true"})):
            reply = http.post(
                "/v1/imports",
                params={"resource": "users", "file_name": name, **options},
                content=USERS,
                headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
            )
            assert reply.json()["counts"]["rejected"] == 6
        made = http.post(
            "/v1/exports", json={"resource": "users"}, headers={"Prefer": "wait=30"}
        ).json()
        assert made["status"] == "completed"
        nightly = {"cron": "30 4 * * mon-fri", "kind": "export", "request": {"resource": "users"}}
        assert http.put("/v1/schedules/nightly", json=nightly).status_code == 201
    return service


@dataclass
class Held:
    """Imports that stand still in their merge until they are let go."""

    url: str
    conn: psycopg.Connection

    def start(self) -> str:
        """An import that has come to its merge (a smaller one is over at once); its id."""
        self.conn.execute("insert into public.gate values (1)")
        tag = uuid4()
        reply = httpx.post(
            f"{self.url}/v1/imports?resource=users&file_name=slow.csv",
            content="email,name,role\n"
            + "".join(f"{n}.{tag}@example.org,New,reader\n" for n in range(5000)),
            headers={"Content-Type": "text/csv"},
        )
        return str(reply.json()["job_id"])

    def let_go(self) -> None:
        """From here on they end."""
        self.conn.execute("delete from public.gate")


@pytest.fixture
def held(filled: Any) -> Iterator[Held]:
    """Holds imports of users back."""
    with psycopg.connect(filled.dsn, autocommit=True) as conn:
        conn.execute(
            "create table public.gate (id integer);"
            "create function public.wait() returns trigger language plpgsql as $$ begin"
            " while exists (select from public.gate) loop perform pg_sleep(0.05); end loop;"
            " return null; end $$;"
            "create trigger wait after insert on app.users for each statement"
            " execute function public.wait()"
        )
        holding = Held(filled.url, conn)
        yield holding
        holding.let_go()
        conn.execute("drop function public.wait() cascade; drop table public.gate")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_narrow_screen(
    visit: Visit, filled: Any, scheme: str
) -> None:
    size = PHONE if scheme == "dark" else {"width": 1200, "height": 900}
    page = visit(filled, "/", color_scheme=scheme, viewport=size)
    for path in PAGES + MORE_PAGES:
        page.goto("about:blank")
        page.goto(f"{filled.url}/#{path}")
        page.wait_for_selector("main h1:not(:empty)")
        if path.startswith("/exports"):
            page.wait_for_selector("caption:text('Preview')", state="attached")
            page.get_by_role("button", name="Add filter").click()
        assert (path, faults(page)) == (path, [])
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path


def test_the_overview_tells_what_ended_and_what_runs(visit: Visit, filled: Any, held: Held) -> None:
    page = visit(filled, "/")
    expect(page.get_by_text("No job runs.")).to_be_visible()
    expect(
        page.get_by_role("img", name=re.compile("Jobs by result: clean 1, partial 1"))
    ).to_be_visible()
    row = page.get_by_role("region", name="Rejected records by resource").get_by_role(
        "row", name="users"
    )
    expect(row).to_contain_text("6")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Records by time")).to_contain_text("54")
    held.start()
    running = page.get_by_role("link", name="slow.csv into users")
    expect(running).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    # what was opened stays open while the numbers move
    expect(page.get_by_role("region", name="Records by time")).to_be_visible()
    page.get_by_label("Show the").select_option("1")
    expect(page.get_by_role("img", name=re.compile("Records by time"))).to_be_visible()


def test_jobs_are_searched_filtered_and_walked_by_keys(
    visit: Visit, filled: Any, held: Held
) -> None:
    page = visit(filled, "/jobs?kind=import")
    rows = page.get_by_role("region", name="Jobs").locator("tbody tr")
    before = rows.count()
    assert before >= 2
    page.get_by_label("Search").fill("PEOPLE")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("people.csv into users")
    assert page.url.endswith("#/jobs?search=PEOPLE&kind=import")
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_label("Search").fill("")
    expect(rows).to_have_count(before)
    page.get_by_label("Kind").select_option("")
    # a new job comes by itself, and moves
    job_id = held.start()
    first = rows.first
    expect(first).to_contain_text("slow.csv", timeout=15_000)
    expect(first.get_by_role("progressbar")).to_be_visible()
    held.let_go()
    expect(first).to_contain_text("completed", timeout=15_000)
    first.get_by_role("link").focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/#/jobs/{job_id}")


def test_a_resource_is_told_in_plain_words(visit: Visit, filled: Any) -> None:
    page = visit(filled, "/resources")
    page.get_by_role("link", name="articles", exact=True).click()
    fields = page.get_by_role("region", name="Fields of articles")
    slug = fields.get_by_role("row", name=re.compile("^slug"))
    expect(slug).to_contain_text("required")
    expect(slug).to_contain_text("must be kebab-case")
    expect(fields.get_by_role("row", name=re.compile("^body"))).to_contain_text("also content")
    expect(fields.get_by_role("row", name=re.compile("^author_id"))).to_contain_text(
        "the id of a row in users"
    )
    expect(page.get_by_text("must be given when status is published")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Template csv").click()
    assert Path(saved.value.path()).read_text().startswith("id,slug,title,body")
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON Schema").click()
    assert "properties" in json.loads(Path(saved.value.path()).read_text())


def test_an_export_has_the_fields_filters_and_order_that_were_chosen(
    visit: Visit, filled: Any
) -> None:
    page = visit(filled, "/exports?resource=users")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.locator("tbody tr")).to_have_count(20)
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.get_by_text("Choose at least one field.")).to_be_visible()
    page.get_by_label("email", exact=True).check()
    page.get_by_label("name", exact=True).check()
    page.get_by_role("button", name="Move name earlier").click()
    expect(page.get_by_role("button", name="Move name earlier")).to_be_focused()
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Field", exact=True).select_option("email")
    page.get_by_label("Operator").select_option("in")
    page.get_by_label("Value of email").fill("u1@example.org, u3@example.org, u2@example.org")
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Field", exact=True).nth(1).select_option("active")
    page.get_by_label("Value of active").select_option("false")
    page.get_by_label("Order").select_option("-email")
    expect(preview.locator("tbody tr")).to_have_count(2)
    expect(preview.locator("tbody tr").first).to_have_text("User 3u3@example.org")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download now").click()
    rows = list(csv.reader(io.StringIO(Path(saved.value.path()).read_text())))
    assert rows == [["name", "email"], ["User 3", "u3@example.org"], ["User 1", "u1@example.org"]]
    assert saved.value.suggested_filename == "users.csv"
    page.get_by_label("Value of email").fill("")
    page.get_by_role("button", name="Download now").click()
    expect(page.get_by_text("The filter on email has no value.")).to_be_visible()
    page.get_by_label("Field", exact=True).nth(1).select_option("created_at")
    page.get_by_label("Value of created_at").fill("2999-01-01T00:00")
    expect(page.get_by_text("No row is like that.")).to_be_visible()
    page.get_by_role("button", name="Remove this filter").nth(1).click()
    page.get_by_label("Value of email").fill("u1@example.org")
    page.get_by_label("Format").select_option("ndjson")
    page.get_by_label("addresses").check()
    expect(preview.locator("tbody tr").first).to_have_text("User 1u1@example.org[]")
    page.get_by_label("Compression").select_option("gzip")
    page.get_by_role("button", name="Make a file").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download users.ndjson.gz").first.click()
    assert Path(saved.value.path()).read_bytes()[:2] == b"\x1f\x8b"
    expect(page.get_by_text("SHA-256")).to_be_visible()


def test_a_schedule_is_made_with_help_paused_changed_and_removed(visit: Visit, filled: Any) -> None:
    page = visit(filled, "/schedules")
    expect(page.get_by_role("row", name=re.compile("^nightly"))).to_contain_text(
        "Monday to Friday at 04:30"
    )
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Name").fill("weekly")
    page.get_by_label("Help me").select_option("week")
    page.get_by_label("At", exact=True).fill("05:15")
    expect(page.get_by_label("Cron expression")).to_have_value("15 5 * * mon")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.get_by_text("Monday at 05:15", exact=True)).to_be_visible()
    expect(page.locator("dialog time")).to_have_count(5)
    page.get_by_label("Cron expression").fill("often")
    expect(page.get_by_text("a cron expression cannot be 'often'")).to_be_visible()
    assert faults(page) == []
    page.get_by_label("Cron expression").fill("20 seconds")
    page.get_by_label("Do").select_option("import")
    page.get_by_label("Which").fill("https://example.org/users.csv")
    page.get_by_text("More options").click()
    page.get_by_label("Further options").fill('{"mode": ')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("They must be a JSON object")).to_be_visible()
    page.get_by_label("Further options").fill('{"mode": "insert"}')
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("^weekly"))
    expect(row).to_contain_text("import addresses from https://example.org/users.csv")
    made = httpx.get(f"{filled.url}/v1/schedules/weekly").json()
    assert made["request"] == {
        "resource": "addresses", "url": "https://example.org/users.csv", "mode": "insert",
    }  # fmt: skip
    page.get_by_role("button", name="Pause weekly").click()
    expect(row).to_contain_text("paused")
    page.get_by_role("button", name="Edit weekly").click()
    expect(page.get_by_label("Which")).to_have_value("https://example.org/users.csv")
    page.get_by_label("Cron expression").fill("@hourly")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("every hour")
    expect(row).to_contain_text("paused")
    page.get_by_role("button", name="Run now nightly").click()
    expect(page.get_by_role("row", name=re.compile("^nightly"))).to_contain_text("completed")
    page.get_by_role("button", name="nightly: its last ticks").click()
    expect(page.get_by_role("dialog", name="Last ticks of nightly")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Remove weekly").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_keys_are_made_shown_once_rotated_and_revoked(
    visit: Visit, start_service: Callable[..., Any]
) -> None:
    service = start_service()
    page = visit(service, "/keys")
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill("boss")
    assert faults(page) == []
    page.get_by_role("button", name="Make key").click()
    secret = page.locator("output")
    expect(secret).to_have_text(re.compile("^slk_"))
    boss = secret.inner_text()
    page.get_by_role("button", name="I have it").click()
    # the tab goes on with the key that closed the service to everybody else
    expect(page.get_by_role("row", name=re.compile("^boss"))).to_contain_text("active")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill("loader")
    page.get_by_label("users", exact=True).check()
    page.get_by_label("Requests a minute").fill("600")
    page.get_by_role("button", name="Make key").click()
    loader = secret.inner_text()
    page.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name=re.compile("^loader"))
    expect(row).to_contain_text("import, export")
    expect(row).to_contain_text("600")

    other = visit_with_key(visit, service, "/keys", loader)
    expect(other.get_by_text("Keys are for keys with the scope admin.")).to_be_visible()
    assert faults(other) == []
    other.get_by_role("button", name="Use another key").click()
    other.get_by_label("Key", exact=True).fill(boss)
    other.get_by_role("button", name="Use key").click()
    expect(other.get_by_role("row", name=re.compile("^loader"))).to_be_visible()

    page.get_by_role("button", name="Rotate loader").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(secret).to_have_text(re.compile("^slk_"))
    assert secret.inner_text() != loader
    page.get_by_role("button", name="I have it").click()
    page.get_by_role("button", name="Revoke loader").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")


def test_with_a_key_downloads_carry_it_in_a_header(
    visit: Visit, start_service: Callable[..., Any]
) -> None:
    service = start_service()
    with psycopg.connect(service.dsn, autocommit=True) as conn:
        made = conn.execute("select sluice.create_api_key('reader', '{export}', '{users}')")
        (secret,) = made.fetchone() or ("",)
        conn.execute("insert into app.users (email, name, role) values ('a@b.org', 'A', 'reader')")
    page = visit_with_key(visit, service, "/exports", secret)
    expect(page.get_by_label("Resource").locator("option")).to_have_text(["users"])
    expect(page.get_by_role("region", name="Preview").locator("tbody tr")).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download now").click()
    assert "a@b.org" in Path(saved.value.path()).read_text()
    page.get_by_role("button", name="Make a file").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download users.csv").first.click()
    assert "a@b.org" in Path(saved.value.path()).read_text()
    expect(page.get_by_role("region", name="Files made in the background")).to_contain_text(
        "completed"
    )


def visit_with_key(visit: Visit, service: Any, path: str, secret: str) -> Page:
    """The page, once the key that it asked for was typed: a wrong one first."""
    page = visit(service, "/resources", wait=False)
    for given in ("wrong", secret):
        page.get_by_label("Key", exact=True).fill(given)
        page.get_by_role("button", name="Use key").click()
        if given == "wrong":
            expect(page.get_by_text("unknown, revoked or expired")).to_be_visible()
    expect(page.get_by_role("heading", name="Resources")).to_be_visible()
    page.goto(f"{service.url}/#{path}")
    return page
