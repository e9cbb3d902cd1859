"""The console's files: what they allow, how they are kept, who gets them."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ..conftest import TOP, Service

CONSOLE = TOP / "src" / "pgsluice" / "console"
FILES = sorted(file.relative_to(CONSOLE).as_posix() for file in CONSOLE.rglob("*.*"))


def test_the_page_allows_nothing_but_its_own_files(http: httpx.Client) -> None:
    reply = http.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)
    # which would be refused, or leave the house
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)| on\w+=|//", reply.text)


def test_every_file_is_served_and_asked_for_again_only_when_it_changed(http: httpx.Client) -> None:
    assert len(FILES) > 20
    for file in FILES:
        path = "/" if file == "index.html" else f"/console/{file}"
        reply = http.get(path)
        assert reply.status_code == 200, path
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-content-type-options"] == "nosniff"
        known = http.get(path, headers={"If-None-Match": reply.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert "unsafe-eval" not in reply.text


@pytest.mark.parametrize(
    "path", ["nothing.js", "index.html", "../app.py", "..%2fapp.py", "%2e%2e/app.py", "pages", ""]
)
def test_what_is_no_file_of_the_console_is_not_there(http: httpx.Client, path: str) -> None:
    assert http.get(f"/console/{path}").status_code == 404


def test_no_script_asks_for_anything_from_elsewhere() -> None:
    for file in CONSOLE.rglob("*.js"):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://[a-z]", text), file.name
        # data never becomes markup, nor code
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|new Function", text)


def test_files_need_no_key_but_what_they_show_does(
    start_service: Callable[..., Service], service: Service
) -> None:
    locked = start_service(
        beside=service, SLUICE_API_KEYS="open-sesame", SLUICE_API_PREFIX="api_v9"
    )
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "&quot;api&quot;: &quot;api_v9&quot;" in page.text
        assert client.get("/console/app.js").status_code == 200
        assert client.get("/api_v9/resources").status_code == 401
        moved = client.get("/admin/queues")
        assert (moved.status_code, moved.headers["location"]) == (302, "/#/jobs")


@pytest.mark.slow
def test_a_wheel_carries_the_console(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, TOP], check=True
    )
    [wheel] = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pgsluice/console/{file}" for file in FILES} <= inside
