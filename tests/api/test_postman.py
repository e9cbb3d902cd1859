"""docs/postman_collection.json runs green: by a small runner here, by newman where there is one."""

import json
import re
import shutil
import subprocess
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..conftest import TOP

COLLECTION = TOP / "docs" / "postman_collection.json"
KEY = "of-the-collection"
_NAME = r'pm\.test\("(?:[^"\\]|\\.)*", \(\) => '
# The statements that the collection's scripts are made of.
STATUS = re.compile(_NAME + r"pm\.response\.to\.have\.status\((\d+)\)\);")
EQUAL = re.compile(
    _NAME + r"pm\.expect\(pm\.response\.json\(\)\.([\w.\[\]]+)\)\.to\.eql\((.*)\)\);"
)
TEXT = re.compile(_NAME + r"pm\.expect\(pm\.response\.text\(\)\)\.to\.include\((.*)\)\);")
TAKE = re.compile(r'pm\.collectionVariables\.set\("(\w+)", pm\.response\.json\(\)\.([\w.]+)\);')
MAKE = re.compile(
    r'pm\.collectionVariables\.set\("(\w+)", pm\.variables\.replaceIn\("\{\{\$guid\}\}"\)\);'
)


def requests_of(items: list[dict[str, Any]], above: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every request of the collection with its folder and name, in order."""
    found = []
    for item in items:
        name = f"{above}{item['name']}"
        found += requests_of(item["item"], f"{name} / ") if "item" in item else [(name, item)]
    return found


class Runner:
    """Runs requests as Postman does: variables filled in, scripts before and after."""

    def __init__(self, base: str, key: str) -> None:
        self.variables = {"base_url": base}
        self.key = key
        self.checks = 0
        self.http = httpx.Client(timeout=60)

    def run(self, name: str, item: dict[str, Any]) -> None:
        """One request; AssertionError when a test of it fails."""
        scripts = {event["listen"]: event["script"]["exec"] for event in item["event"]}
        for line in scripts.get("prerequest", ()):
            made = MAKE.fullmatch(line)
            assert made, line
            self.variables[made[1]] = str(uuid4())
        reply = self.send(item["request"])
        for line in scripts["test"]:
            self.check(f"{name}: {line}\n{reply.text[:500]}", line, reply)

    def send(self, asked: dict[str, Any]) -> httpx.Response:
        """The reply to a request."""
        url = asked["url"] if isinstance(asked["url"], str) else asked["url"]["raw"]
        headers = {header["key"]: self.filled(header["value"]) for header in asked["header"]}
        if asked.get("auth") != {"type": "noauth"}:
            headers["X-API-Key"] = self.key
        content = self.filled(asked["body"]["raw"]) if "body" in asked else None
        return self.http.request(
            asked["method"], self.filled(url), headers=headers, content=content
        )

    def filled(self, text: str) -> str:
        """The text with its variables replaced."""
        return re.sub(r"\{\{(\w+)\}\}", lambda found: self.variables[found[1]], text)

    def check(self, told: str, line: str, reply: httpx.Response) -> None:
        """One statement of a test."""
        if taken := TAKE.fullmatch(line):
            self.variables[taken[1]] = reply.json()[taken[2]]
            return
        self.checks += 1
        if status := STATUS.fullmatch(line):
            assert reply.status_code == int(status[1]), told
        elif equal := EQUAL.fullmatch(line):
            value = reply.json()
            for step in re.findall(r"\w+", equal[1]):
                value = value[int(step) if isinstance(value, list) else step]
            assert value == json.loads(equal[2]), told
        else:
            text = TEXT.fullmatch(line)
            assert text, f"the runner does not know {line}"
            assert json.loads(text[1]) in reply.text, told


@pytest.fixture(scope="module")
def keyed(start_service: Any) -> Any:
    """A clean service that wants a key."""
    return start_service(SLUICE_API_KEYS=KEY)


def test_every_request_of_the_collection_runs_green(keyed: Any) -> None:
    found = requests_of(json.loads(COLLECTION.read_text())["item"])
    runner = Runner(keyed.url, KEY)
    with runner.http:
        for name, item in found:
            runner.run(name, item)
    assert len(found) >= 50
    assert runner.checks >= 2 * len(found)


def test_newman_finds_it_green_too(keyed: Any) -> None:
    program = shutil.which("newman")
    if program is None:
        pytest.skip("newman is not installed: npm install -g newman")
    done = subprocess.run(
        [
            program,
            "run",
            COLLECTION,
            "--env-var",
            f"base_url={keyed.url}",
            "--env-var",
            f"api_key={KEY}",
            "--color",
            "off",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_collection_has_a_variable_for_the_address_and_none_of_this_machine() -> None:
    text = COLLECTION.read_text()
    names = {variable["key"] for variable in json.loads(text)["variable"]}
    assert names == {"base_url", "api_key"}
    found = requests_of(json.loads(text)["item"])
    for name, item in found:
        url = item["request"]["url"]
        assert url == "{{link}}" or url["raw"].startswith("{{base_url}}/"), name
