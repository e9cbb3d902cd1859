"""A job in the console: its errors, mending them in place, files, keys."""

import csv
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import Workbook
from playwright.sync_api import Page, expect

from ..conftest import Service, address, serve, stop
from .conftest import PHONE, faults, fits

BAD = (
    "email;name;role;active;metadata\n"
    "ann@example.org;Ann;reader;true;-\n"
    "bob;Bob;king;maybe;-\n"
    'cy@example.org;-;reader;-;"[1]"\n'
    '"a"b;c;d;e;f\n'
    'dora@example.org;Dora;"";-;-\n'
)
NESTED = (
    '{"email":"ned@example","name":"N","role":"reader","metadata":{"n":12345678901234567890}}\n'
    "not json\n"
    '{"email":"eve@example.org","name":"E","role":"reader","addresses":[{"street":"s"}]}\n'
)


def rows(http: httpx.Client, **filters: str) -> list[dict[str, Any]]:
    """The users that the service has."""
    params = {"resource": "users", "format": "json", "order": "email", **filters}
    return list(http.get("/v1/exports", params=params).json())


def mend(page: Page, service: Service, job: dict[str, Any]) -> None:
    page.get_by_role("button", name="Mend in place").click()
    expect(page.get_by_role("region", name="Rejected records")).to_be_visible()


def test_rejects_of_a_csv_file_are_mended_in_place(
    visit: Callable[..., Page], service: Service, http: httpx.Client, post: Callable[..., Any]
) -> None:
    job = post("people.csv", BAD, null="-")
    page = visit(service, f"/jobs/{job['job_id']}")
    expect(page.get_by_text("Rejected: 4 of 5 records.")).to_be_visible()
    bar = page.get_by_role("img", name="Counts")
    expect(bar).to_have_accessible_name("Counts: inserted 1, rejected 4")
    mend(page, service, job)
    assert faults(page) == []

    # the offending cells are marked, and say what is wrong
    email = page.get_by_label("email, row 2")
    expect(email).to_have_attribute("aria-invalid", "true")
    expect(email).to_have_accessible_description(
        "must be an e-mail address whose domain has a dot, such as ann@example.com"
    )
    expect(page.get_by_label("name, row 2")).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Import the mended")).to_be_disabled()

    # by keyboard: from row to row, past the record that is one text
    page.get_by_label("role, row 2").fill("author")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("role, row 3")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("role, row 5")).to_be_focused()
    page.keyboard.type("editor")
    email.fill("bob;x@example.org")
    email.fill("bob@example.org")
    page.get_by_label("active, row 2").fill("")
    page.get_by_label("name, row 2").fill('Bob "B"; jr')
    page.get_by_label("Record 4 as it was sent").fill("raw@example.org;Raw;reader;true;-")
    expect(page.get_by_text("3 records mended")).to_be_visible()
    page.get_by_role("button", name="Check the mended (dry run)").click()
    expect(page.get_by_text("It would be 3 new rows")).to_be_visible()

    # neither the way back nor a reload loses what was typed
    page.get_by_role("link", name="Back to the mended records").click()
    expect(page.get_by_text("3 records mended")).to_be_visible()
    page.reload()
    expect(page.get_by_label("name, row 2")).to_have_value('Bob "B"; jr')
    expect(page.get_by_label("Record 4 as it was sent")).to_have_value(
        "raw@example.org;Raw;reader;true;-"
    )
    page.get_by_role("button", name="Undo all").click()
    expect(email).to_have_value("bob")
    email.fill("bob@example.org")
    page.get_by_label("role, row 2").fill("author")
    page.get_by_label("active, row 2").fill("")
    page.get_by_label("name, row 2").fill('Bob "B"; jr')
    page.get_by_role("button", name="Import the mended").click()
    expect(page.get_by_role("heading", name="people.mended.csv into users")).to_be_visible()
    expect(page.get_by_text("1 new row, 0 changed")).to_be_visible()
    page.get_by_role("link", name=job["job_id"]).click()
    # what was sent is not offered again
    expect(page.get_by_role("heading", name="people.csv into users")).to_be_visible()
    expect(page.get_by_role("heading", name="Mend rejects")).to_have_count(0)
    [bob] = rows(http, email="bob@example.org")
    # an emptied cell was null, so the column's default was taken
    assert (bob["name"], bob["role"], bob["active"]) == ('Bob "B"; jr', "author", True)


def test_records_that_a_check_found_good_are_not_left_behind(
    visit: Callable[..., Page], service: Service, http: httpx.Client, post: Callable[..., Any]
) -> None:
    job = post("left.csv", "email,name,role\nleft1,L,reader\nleft2,L,reader\n")
    page = visit(service, f"/jobs/{job['job_id']}")
    mend(page, service, job)
    page.get_by_label("email, row 1").fill("left1@example.org")
    page.get_by_label("name, row 2").fill("Left")
    page.get_by_role("button", name="Check the mended (dry run)").click()
    expect(page.get_by_text("Dry run: nothing was written. It would be 1 new row")).to_be_visible()
    # importing the rejects of the check alone would leave the good one unwritten
    expect(page.get_by_role("button", name="Mend in place")).to_have_count(0)
    assert faults(page) == []
    page.get_by_role("link", name="Back to the mended records").click()
    expect(page.get_by_label("email, row 1")).to_have_value("left1@example.org")
    page.get_by_label("email, row 2").fill("left2@example.org")
    page.get_by_role("button", name="Import the mended").click()
    expect(page.get_by_text("2 new rows, 0 changed")).to_be_visible()
    assert [len(rows(http, email=f"left{n}@example.org")) for n in (1, 2)] == [1, 1]

    # a dry run of a file leads to its import, and mending there tells that the rest is not written
    tried = post("tried.csv", "email,name,role\ntried,T,reader\n", dry_run="true")
    page = visit(service, f"/jobs/{tried['job_id']}")
    mend(page, service, tried)
    expect(page.get_by_text("nothing of its file was written")).to_be_visible()
    page.get_by_role("link", name="To the import").click()
    expect(page.get_by_label("Resource")).to_have_value("users")


def test_rejects_of_json_keep_every_digit_that_nobody_edits(
    visit: Callable[..., Page], service: Service, http: httpx.Client, post: Callable[..., Any]
) -> None:
    job = post("people.ndjson", NESTED)
    page = visit(service, f"/jobs/{job['job_id']}")
    mend(page, service, job)
    page.get_by_label("email, row 1").fill("ned@example.org")
    page.get_by_label("Record 2 as it was sent").fill(
        '{"email":"raw2@example.org","name":"R","role":"reader"}'
    )
    addresses = page.get_by_label("addresses, row 3")
    expect(addresses).to_have_accessible_description(
        "addresses[0].city: must be given for a new row"
    )
    addresses.fill('[{"street":"s","city":"c"}]')
    page.get_by_role("button", name="Import the mended").click()
    expect(page.get_by_text("3 new rows, 0 changed")).to_be_visible()
    text = http.get("/v1/exports", params={"resource": "users", "email": "ned@example.org"}).text
    assert "12345678901234567890" in text
    [eve] = rows(http, email="eve@example.org", include="addresses")
    assert eve["addresses"][0]["city"] == "c"


def test_a_workbook_goes_in_and_its_rejects_are_mended(
    visit: Callable[..., Page], service: Service, http: httpx.Client, tmp_path: Path
) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet
    book.create_sheet("Notes & more").append(["nothing"])
    for line in (
        ["Mail", "name", "role"],
        ["wes@example.org", "Wes", "king"],
        ["xi", "Xi", "reader"],
    ):
        sheet.append(line)
    book.save(tmp_path / "users of may.xlsx")
    page = visit(service, "/import")
    page.set_input_files("input[type=file]", tmp_path / "users of may.xlsx")
    # the page looks into the sheet as the service does
    expect(page.get_by_label("Resource")).to_have_value("users")
    expect(page.get_by_role("row", name="role role same name")).to_contain_text("king · reader")
    page.get_by_role("button", name="Take Mail as email").click()
    expect(page.get_by_text("chosen here")).to_be_visible()
    sheet["A2"] = "west@example.org"
    book.save(tmp_path / "users of may.xlsx")
    # browsers look at the second of a change, and this one may be the same
    later = time.time() + 10
    os.utime(tmp_path / "users of may.xlsx", (later, later))
    page.get_by_role("button", name="Import without a dry run").click()
    expect(page.get_by_text("another one than was chosen here")).to_be_visible()
    with page.expect_file_chooser() as chosen:
        page.locator("label.drop").click()
    chosen.value.set_files(tmp_path / "users of may.xlsx")
    page.get_by_role("button", name="Import without a dry run").click()
    expect(page.get_by_role("button", name="Rejects as xlsx (2 records)")).to_be_visible()
    page.get_by_role("button", name="Mend in place").click()
    page.get_by_label("role, row 1").fill("author")
    page.get_by_role("button", name="Import the mended").click()
    expect(page.get_by_role("heading", name="users of may.mended.csv")).to_be_visible()
    expect(page.get_by_text("1 new row")).to_be_visible()
    assert rows(http, email="west@example.org")[0]["role"] == "author"


def test_a_file_may_hold_anything(
    visit: Callable[..., Page], service: Service, http: httpx.Client, post: Callable[..., Any]
) -> None:
    file = io.StringIO()
    csv.writer(file).writerows(
        [
            ["email", "name", "role"],
            ["<script>alert(1)</script>", "<b>Bold</b>", "<img src=x onerror=alert(2)>"],
            ["lines@example.org", "one\r\ntwo", "king"],
            ["מרחבא", "😀" * 300, "reader"],
        ]
    )
    job = post("<img src=x onerror=alert(0)>.csv", file.getvalue())
    page = visit(service, f"/jobs/{job['job_id']}", viewport=PHONE)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "<img src=x onerror=alert(0)>.csv into users"
    )
    mend(page, service, job)
    assert page.locator("main img, main script, main b b").count() == 0
    expect(page.get_by_label("role, row 1")).to_have_value("<img src=x onerror=alert(2)>")
    assert fits(page)
    assert faults(page) == []
    # a cell of several lines keeps them
    name = page.get_by_label("name, row 2")
    expect(name).to_have_value("one\ntwo")
    name.fill("one\ntwo\nthree")
    page.get_by_label("role, row 2").fill("reader")
    page.get_by_role("button", name="Import the mended").click()
    expect(page.get_by_text("1 new row, 0 changed")).to_be_visible()
    [found] = rows(http, email="lines@example.org")
    assert found["name"] == "one\r\ntwo\r\nthree"


def test_nothing_is_lost_while_the_service_is_away(
    visit: Callable[..., Page],
    service: Service,
    open_tmp: Path,
    post: Callable[..., Any],
) -> None:
    def start(port: int) -> tuple[Service, Any]:
        process = serve("--no-worker", "--port", str(port), cwd=open_tmp, DATABASE_URL=service.dsn)
        return Service(address(process), service.dsn, process), process

    job = post("away.csv", "email,name,role\nno,N,king\n")
    other, process = start(0)
    try:
        page = visit(other, f"/jobs/{job['job_id']}")
        mend(page, other, job)
        page.get_by_label("email, row 1").fill("away@example.org")
        page.get_by_label("role, row 1").fill("reader")
        stop(process)
        page.get_by_role("button", name="Import the mended").click()
        expect(page.get_by_role("alert")).to_contain_text("The upload broke off")
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_focused()
        expect(page.get_by_text("The service does not answer.")).to_be_visible()
        process = start(int(other.url.rpartition(":")[2]))[1]
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_focused()
        page.go_back()
        expect(page.get_by_label("role, row 1")).to_have_value("reader")
        page.get_by_role("button", name="Import the mended").click()
        expect(page.get_by_text("1 new row, 0 changed")).to_be_visible()
    finally:
        stop(process)


def test_errors_are_paged_and_filtered(
    visit: Callable[..., Page], service: Service, post: Callable[..., Any]
) -> None:
    lines = "".join(f"no{n},N,king\n" for n in range(60))
    job = post("wrong.csv", "email,name,role\n" + lines)
    page = visit(service, f"/jobs/{job['job_id']}", viewport=PHONE)
    table = page.get_by_role("region", name="Errors", exact=True).locator("tbody tr")
    expect(table).to_have_count(50)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2")).to_be_visible()
    page.get_by_label("Field", exact=True).select_option("role")
    expect(page.get_by_text("Page 1")).to_be_visible()
    expect(table.first).to_contain_text("king")
    expect(table).to_have_count(50)
    assert fits(page)
    mend(page, service, job)
    expect(page.get_by_text("Records 1 to 50 of 60")).to_be_visible()
    assert fits(page)


def test_a_job_is_retried_and_deleted(
    visit: Callable[..., Page], service: Service, http: httpx.Client, post: Callable[..., Any]
) -> None:
    job = post("again.csv", "email,name,role\nno,N,reader\n")
    page = visit(service, f"/jobs/{job['job_id']}", color_scheme="dark")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("link", name=job["job_id"])).to_be_visible()
    expect(page.get_by_text("Rejected: 1 of 1 record.")).to_be_visible()
    retried = page.url.rpartition("/")[2]
    assert faults(page) == []
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this job?")
    assert faults(page) == []
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    assert http.get(f"/v1/imports/{retried}").status_code == 404


@pytest.fixture(scope="module")
def locked(start_service: Callable[..., Service], service: Service) -> Service:
    """A second process on the same database, which wants a key."""
    return start_service(beside=service, SLUICE_API_KEYS="open-sesame")


def test_a_key_is_asked_for_and_kept_out_of_sight(
    visit: Callable[..., Page],
    locked: Service,
    post: Callable[..., Any],
    tmp_path: Path,
) -> None:
    job = post("keyed.csv", "email,name,role\nnobody,N,reader\n")
    page = visit(locked, f"/jobs/{job['job_id']}", wait=False)
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    assert faults(page) == []
    dialog.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("unknown, revoked or expired")
    dialog.get_by_label("Key", exact=True).fill("open-sesame")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="keyed.csv into users")).to_be_visible()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]
    assert "sesame" not in page.url

    # files come with the key in a header
    with page.expect_download() as download:
        page.get_by_role("button", name="Rejects as csv (1 record)").click()
    download.value.save_as(tmp_path / "rejects.csv")
    assert download.value.suggested_filename == f"rejects-{job['job_id']}.csv"
    [reject] = csv.DictReader(io.StringIO((tmp_path / "rejects.csv").read_text()))
    assert reject["email"] == "nobody"
    assert json.loads(reject["_errors"])[0]["field"] == "email"

    page.get_by_role("button", name="Forget key").click()
    expect(dialog).to_be_visible()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_visible()

    # a key that goes while something is done: it is asked for, and the work goes on
    page.get_by_role("button", name="Try again").click()
    dialog.get_by_label("Key", exact=True).fill("open-sesame")
    page.keyboard.press("Enter")
    mend(page, locked, job)
    page.get_by_label("email, row 1").fill("keyed@example.org")
    page.evaluate("sessionStorage.setItem('pgsluice.key', 'gone')")
    page.get_by_role("button", name="Import the mended").click()
    expect(dialog).to_contain_text("unknown, revoked or expired")
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("No valid key")
    page.get_by_role("button", name="Import the mended").click()
    dialog.get_by_label("Key", exact=True).fill("open-sesame")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 new row, 0 changed")).to_be_visible()


def test_colours_are_chosen_and_remembered(visit: Callable[..., Page], service: Service) -> None:
    page = visit(service, "/import", color_scheme="dark")
    colour = "getComputedStyle(document.body).color"
    light = "rgb(26, 36, 48)"
    assert page.evaluate(colour) != light
    page.get_by_label("Colours").select_option("light")
    assert page.evaluate(colour) == light
    page.reload()
    expect(page.get_by_role("heading", name="Import")).to_be_visible()
    assert page.evaluate(colour) == light
    assert faults(page) == []


def test_the_frame_is_reached_by_keyboard(visit: Callable[..., Page], service: Service) -> None:
    page = visit(service, "/import")
    expect(page.get_by_role("heading", name="Import")).to_be_focused()
    page.get_by_role("link", name="Skip to content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert page.url.endswith("#/import")
    page.goto(f"{service.url}/admin/queues")
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    page.goto(f"{service.url}/#/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_focused()
