"""URLs that lead inside: of imports, of webhooks, of schedules."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ..conftest import Service
from ..origin import Origin, redirect, reply, running
from .conftest import USERS, is_problem, until
from .hook import SECRET, Receiver

# Each is this machine, its network or its cloud in some disguise, or no URL that one may ask.
INSIDE = [
    "https://127.0.0.1/a.csv",
    "https://localhost/a.csv",
    "https://LOCALHOST./a.csv",
    "https://0.0.0.0/a.csv",
    "https://[::1]/a.csv",
    "https://[::]/a.csv",
    "https://[::ffff:127.0.0.1]/a.csv",
    "https://[::ffff:7f00:1]/a.csv",
    "https://[64:ff9b::7f00:1]/a.csv",
    "https://[2002:7f00:1::]/a.csv",
    "https://[fe80::1]/a.csv",
    "https://[fd00:ec2::254]/a.csv",
    "https://2130706433/a.csv",
    "https://0x7f000001/a.csv",
    "https://0x7f.1/a.csv",
    "https://0177.0.0.1/a.csv",
    "https://127.1/a.csv",
    "https://127.0.0.1./a.csv",
    "https://１２７.0.0.1/a.csv",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/a.csv",
    "https://100.64.0.1/a.csv",
    "https://10.0.0.1/a.csv",
    "https://192.168.0.1/a.csv",
    "https://224.0.0.1/a.csv",
    "https://255.255.255.255/a.csv",
    "https://user:secret@example.org/a.csv",
    "https://example.org@127.0.0.1/a.csv",
    "https://example.org\\@127.0.0.1/a.csv",
    "https://example.org:0/a.csv",
    "https://example.org:99999/a.csv",
    "https://example.org/a.csv\r\nX: y",
    "http://example.org/a.csv",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "ftp://example.org/a.csv",
    "//example.org/a.csv",
    "https:///a.csv",
    "https://" + "a" * 9000 + ".example/a.csv",
]


@pytest.mark.parametrize("url", INSIDE, ids=[url[:40] for url in INSIDE])
def test_no_url_leads_inside(http: httpx.Client, url: str) -> None:
    asked = [
        http.post("/v1/imports", json={"resource": "users", "url": url}),
        http.post("/v1/imports", params={"resource": "users", "url": url}),
        http.post("/v1/imports", data={"resource": "users", "url": url}),
        http.post(
            "/v1/imports",
            params={"resource": "users", "callback_url": url},
            content=USERS,
            headers={"Content-Type": "text/csv"},
        ),
        http.post(
            "/v1/imports",
            files=[
                ("file", ("u.csv", USERS)),
                ("resource", (None, "users")),
                ("callback_url", (None, url)),
            ],
        ),
        http.post("/v1/exports", json={"resource": "users", "callback_url": url}),
        http.post(
            "/v1/schedules",
            json={
                "name": "inside",
                "cron": "0 0 1 1 *",
                "kind": "import",
                "request": {"resource": "users", "url": url},
            },
        ),
    ]
    for refused in asked:
        assert "secret" not in is_problem(refused, 400)["detail"]
    assert http.get("/v1/jobs").json()["jobs"] == []


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def listed(start_service: Callable[..., Service], origin: Origin) -> Iterator[httpx.Client]:
    """A client of a service that may ask the origin, under the name of its address only."""
    started = start_service(SLUICE_URL_HOSTS=origin.host, SLUICE_WEBHOOK_BACKOFF="0.02")
    with httpx.Client(base_url=started.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/secret.csv",
        "http://[::1]:{port}/secret.csv",
        "http://2130706433:{port}/secret.csv",
        "http://x:y@127.0.0.1:{port}/secret.csv",
        "https://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "//127.0.0.1:1/secret.csv",
    ],
)
def test_a_redirect_leads_nowhere_else(listed: httpx.Client, origin: Origin, location: str) -> None:
    origin.put("/secret.csv", USERS)
    asked = origin.times("/secret.csv")
    url = origin.put("/go.csv", redirect(location.format(port=origin.server_port)))
    sent = {"resource": "users", "url": url}
    job = listed.post("/v1/imports", json=sent, headers={"Prefer": "wait=30"}).json()
    assert job["status"] == "failed", job
    assert origin.times("/secret.csv") == asked


def test_a_redirect_of_a_webhook_is_not_followed(listed: httpx.Client, origin: Origin) -> None:
    origin.put("/landed", reply(b""))
    url = origin.put("/hook", redirect(origin.url("/landed"), 307))
    sent = {"resource": "users", "callback_url": url}
    job = listed.post("/v1/exports", json=sent, headers={"Prefer": "wait=30"}).json()
    path = f"/v1/jobs/{job['job_id']}/deliveries"
    for _ in range(200):
        [told] = listed.get(path).json()["deliveries"]
        if told["attempts"]:
            break
    assert origin.times("/landed") == 0


def test_what_an_inner_service_replies_is_not_shown(listed: httpx.Client, origin: Origin) -> None:
    url = origin.put("/inner.csv", reply(b"the inner secret", 403))
    sent = {"resource": "users", "url": f"{url}?signature=hidden"}
    job = listed.post("/v1/imports", json=sent, headers={"Prefer": "wait=30"}).json()
    assert job["status"] == "failed"
    whole = json.dumps(job) + listed.get("/v1/jobs").text
    assert "inner secret" not in whole
    assert "hidden" not in whole


def test_a_repeated_webhook_can_be_told_by_its_id_and_an_old_one_by_its_time(
    start_service: Callable[..., Any],
) -> None:
    receiver = Receiver()
    receiver.reply = lambda number: (500 if number == 1 else 204, {})
    started = start_service(
        SLUICE_URL_HOSTS="127.0.0.1", SLUICE_WEBHOOK_SECRET=SECRET, SLUICE_WEBHOOK_BACKOFF="0.02"
    )
    sent = {"resource": "users", "callback_url": receiver.url}
    httpx.post(f"{started.url}/v1/exports", json=sent)
    until(lambda: len(receiver.got) == 2)
    receiver.close()
    first, second = receiver.ids()
    assert first == second
    _, headers, body = receiver.got[1]
    receiver.read(1)
    old = datetime.now(UTC) - timedelta(minutes=10)
    moved = {**headers, "webhook-timestamp": str(int(old.timestamp()))}
    other = {**headers, "webhook-id": "msg_other"}
    for forged, content in ((moved, body), (other, body), (headers, body + b" ")):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(content, forged)
    # Signed as it was then, it is refused for its age.
    moved["webhook-signature"] = Webhook(SECRET).sign(headers["webhook-id"], old, body.decode())
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, moved)
