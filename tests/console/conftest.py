"""A real browser on the running service; what no page may do is asserted for each."""

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from ..conftest import Service

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The browser asks its maker for nothing, and root may not run it in a sandbox of its own.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PHONE = {"width": 360, "height": 740}
# What a browser says by itself of a reply that a test has asked for.
_ASKED_FOR = re.compile(
    r"the server responded with a status of 4\d\d|ERR_UPLOAD_FILE_CHANGED|ERR_CONNECTION_"
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, as the machine has it."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium in PATH: install it (Debian: apt-get install chromium)")
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a tab of its own: visit(service, "/jobs"); options are those of a browser context.

    At the end no page has met an error or its policy, asked anything of another host, or put
    a key into an address.
    """
    pages: list[Page] = []
    said: list[str] = []
    asked: list[str] = []
    homes: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _ASKED_FOR.search(message.text):
            said.append(f"{message.type}: {message.text}")

    def go(service: Any, path: str = "/", *, wait: bool = True, **options: Any) -> Page:
        own = {"viewport": {"width": 1200, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"}
        page = browser.new_context(**(own | options)).new_page()
        page.set_default_timeout(30_000)
        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        pages.append(page)
        homes.add(service.url)
        page.goto(f"{service.url}/#{path}")
        if wait:
            page.wait_for_selector("main h1:not(:empty)")
        return page

    yield go
    for page in pages:
        page.context.close()
    assert said == []
    addresses = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert [url for url in addresses if not url.startswith(tuple(homes))] == []
    assert [url for url in addresses if "slk_" in url] == []


def faults(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is now: rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {', '.join(str(n['target']) for n in fault['nodes'])}"
        for fault in found
    ]


def fits(page: Page) -> bool:
    """Whether the page is not wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    """A client whose base is the service."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def post(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Imports a file of users and gives the ended job: post("a.csv", "email,…", mode="insert")."""

    def send(name: str, text: str, **options: str) -> dict[str, Any]:
        reply = http.post(
            "/v1/imports",
            params={"resource": "users", **options},
            files={"file": (name, text.encode())},
            headers={"Prefer": "wait=30"},
        )
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    return send
