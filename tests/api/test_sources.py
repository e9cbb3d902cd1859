"""Files that stand elsewhere: fetched by URL, from the import folder, from the file store."""

import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import zstandard

from ..origin import (
    Dripping,
    Handler,
    Origin,
    Ranges,
    chunked,
    endless,
    gzipped,
    in_turn,
    redirect,
    reply,
    running,
)
from .conftest import USERS, is_problem, new_users

Ask = Callable[..., httpx.Response]
CAP = 2_000_000


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """Where the files stand."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def folder(open_tmp: Path) -> Path:
    """The folder from which paths may be imported, and files beside it."""
    (open_tmp / "outside.csv").write_bytes(USERS)
    inside = open_tmp / "imports"
    (inside / "deep").mkdir(parents=True)
    return inside


@pytest.fixture(scope="module")
def store(open_tmp: Path) -> Path:
    """The folder of the file store."""
    return open_tmp / "store"


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Any], origin: Origin, folder: Path, store: Path) -> Any:
    """A service that may ask the origin, read the folder, and fetches for at most 4 seconds."""
    return start_service(
        SLUICE_URL_HOSTS=origin.host,
        SLUICE_IMPORT_DIR=str(folder),
        SLUICE_STORE=str(store),
        SLUICE_MAX_UPLOAD_BYTES=str(CAP),
        SLUICE_FETCH_SECONDS="4",
    )


@pytest.fixture
def fetch(http: httpx.Client, database: psycopg.Connection) -> Iterator[Ask]:
    """Asks for an import of users and waits for its end; nothing of it may stay in the stage."""

    def ask(url: str | None = None, headers: Any = (), **options: Any) -> httpx.Response:
        body = {"resource": "users", **({"url": url} if url else {}), **options}
        return http.post("/v1/imports", json=body, headers={"Prefer": "wait=30", **dict(headers)})

    yield ask
    left = database.execute(
        "select count(*) from pg_tables where schemaname = 'sluice_stage'"
    ).fetchone()
    assert left == (0,)


def completed(reply: httpx.Response, received: int) -> dict[str, Any]:
    """The job, which must have inserted all."""
    assert reply.status_code == 200, reply.text
    job: dict[str, Any] = reply.json()
    assert job["status"] == "completed", job["error"]
    assert job["counts"]["received"] == job["counts"]["inserted"] == received
    return job


def failed(reply: httpx.Response) -> str:
    """Why the job failed: without a row, without a record."""
    assert reply.status_code == 200, reply.text
    job = reply.json()
    assert job["status"] == "failed", job
    assert job["phase"] is None
    assert set(job["counts"].values()) == {0}
    assert job["error"]["status"] == 422
    return str(job["error"]["detail"])


def last_error(database: psycopg.Connection, job_id: str) -> str:
    """Why the last attempt did not do it."""
    row = database.execute(
        "select metrics ->> 'last_error' from sluice.job where job_id = %s", [job_id]
    ).fetchone()
    assert row
    return str(row[0])


def until(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What `look` returns once that is true."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(0.02)
    return seen


def test_a_url_becomes_an_import(http: httpx.Client, origin: Origin, fetch: Ask) -> None:
    url = origin.put("/some/users.csv", new_users(30))
    reply = http.post("/v1/imports", json={"resource": "users", "url": f"{url}?X-Signature=abc"})
    assert reply.status_code == 202
    job = reply.json()
    assert reply.headers["location"] == f"/v1/imports/{job['job_id']}"
    assert (job["status"], job["phase"]) == ("pending", "fetch")
    assert job["source"] == {"url": url}
    job = completed(fetch(f"{origin.put('/b/users.csv', new_users(30))}?X-Signature=abc"), 30)
    assert (job["format"], job["file_name"]) == ("csv", "users.csv")
    assert job["metrics"]["bytes"] > 500
    assert "abc" not in json.dumps(job)
    asked, headers = next(a for a in origin.asked if a[0].startswith("/b/"))
    assert asked == "/b/users.csv?X-Signature=abc"
    assert headers["User-Agent"].startswith("pgsluice/")


@pytest.mark.parametrize(
    "ways",
    [
        {"params": {"resource": "users", "url": "{}"}},
        {"params": {"resourceType": "users", "fileUrl": "{}"}},
        {"params": {"resource": "users"}, "json": {"file_url": "{}"}},
        {"json": {"resource_type": "users", "fileUrl": "{}"}},
        {"data": {"resource": "users", "url": "{}"}},
        {"files": {"resource": (None, "users"), "fileUrl": (None, "{}")}},
        {"params": {"url": "{}"}, "json": {"resource": "users", "dry_run": False}},
    ],
)
def test_a_url_may_stand_in_query_form_or_object(
    http: httpx.Client, origin: Origin, ways: dict[str, Any]
) -> None:
    url = origin.put("/ways.csv", new_users(3))
    filled: dict[str, Any] = json.loads(json.dumps(ways).replace("{}", url))
    if "files" in filled:
        filled["files"] = {name: tuple(part) for name, part in filled["files"].items()}
    completed(http.post("/v1/imports", headers={"Prefer": "wait=30"}, **filled), 3)


def test_options_of_an_object_may_be_json(origin: Origin, fetch: Ask) -> None:
    text = new_users(3).replace(b"email,name", b"mail,external_id").replace(b",reader", b",")
    text = text.replace(b",", b";").replace(b"User", uuid4().hex.encode())
    job = completed(
        fetch(
            origin.put("/options", text),
            format="csv",
            mapping={"mail": "email"},
            defaults={"role": "editor", "name": "Nobody"},
            match=["external_id", "email"],
            results=True,
            parent=None,
            onDuplicate="first",
            fileName="mine.csv",
        ),
        3,
    )
    assert job["options"]["mapping"] == {"mail": "email"}
    assert job["options"]["match"] == ["external_id", "email"]
    assert job["options"]["results"] is True
    assert job["options"]["delimiter"] == ";"
    assert job["file_name"] == "mine.csv"


def ndjson(count: int) -> bytes:
    tag = uuid4().hex
    users = (
        {"email": f"{n}.{tag}@example.org", "name": "N", "role": "reader"} for n in range(count)
    )
    return "".join(json.dumps(user) + "\n" for user in users).encode()


@pytest.mark.parametrize(
    ("path", "answer", "form"),
    [
        ("/u.csv.gz", lambda: reply(gzip.compress(new_users(5))), "csv"),
        ("/u.csv.zst", lambda: reply(zstandard.compress(new_users(5))), "csv"),
        ("/u.csv", lambda: gzipped(new_users(5)), "csv"),
        ("/u.csv.gz", lambda: gzipped(new_users(5)), "csv"),
        (
            "/u.csv",
            lambda: reply(zstandard.compress(new_users(5)), Content_Encoding="zstd"),
            "csv",
        ),
        ("/u.ndjson", lambda: reply(ndjson(5)), "ndjson"),
        ("/u.json", lambda: reply(ndjson(5)), "json"),
        ("/u.json", lambda: reply(b"[" + ndjson(5).strip().replace(b"\n", b",") + b"]"), "json"),
        ("/typed", lambda: reply(ndjson(5), Content_Type="application/x-ndjson"), "ndjson"),
        ("/typed.php", lambda: reply(new_users(5), Content_Type="text/csv; charset=utf-8"), "csv"),
        (
            "/named",
            lambda: reply(
                new_users(5),
                Content_Type="application/octet-stream",
                Content_Disposition='attachment; filename="u\'sers.csv"',
            ),
            "csv",
        ),
        ("/chunks.csv", lambda: chunked(*new_users(5).splitlines(keepends=True)), "csv"),
        ("/first.tsv", lambda: reply(new_users(5).replace(b",", b"\t")), "csv"),
    ],
)
def test_format_and_compression_are_told_by_name_or_reply(
    origin: Origin, fetch: Ask, path: str, answer: Callable[[], Any], form: str
) -> None:
    assert completed(fetch(origin.put(path, answer())), 5)["format"] == form


def test_redirects_are_followed_five_times(origin: Origin, fetch: Ask) -> None:
    origin.put("/end/users.csv", new_users(4))
    for hop in range(1, 6):
        origin.put(
            f"/hop{hop}", redirect(f"/hop{hop - 1}?n={hop}" if hop > 1 else "/end/users.csv")
        )
    job = completed(fetch(origin.url("/hop5")), 4)
    assert job["format"] == "csv"
    origin.put("/round", redirect("round"))
    assert "redirects more than 5 times" in failed(fetch(origin.url("/round"), format="csv"))


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:1/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "file:///etc/passwd",
        "http://me:secret@127.0.0.1/",
        "//127.0.0.1:1/x",
        "http://[::1]/",
    ],
)
def test_a_redirect_to_where_nobody_may_go_fails_the_job(
    origin: Origin, fetch: Ask, where: str
) -> None:
    why = failed(fetch(origin.put("/away.csv", redirect(where))))
    assert origin.url("/away.csv") in why
    assert "secret" not in why


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404 Not Found"), (403, "403"), (410, "410"), (204, "204")]
)
def test_a_refusal_fails_the_job_at_once(
    origin: Origin, fetch: Ask, status: int, words: str
) -> None:
    url = origin.put(f"/refused{status}.csv", reply(b"", status))
    why = failed(fetch(f"{url}?token=secret"))
    assert words in why
    assert url in why
    assert "secret" not in why
    assert origin.times(f"/refused{status}.csv") == 1


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_what_may_pass_is_tried_again(origin: Origin, fetch: Ask, status: int) -> None:
    path = f"/passing{status}.csv"
    refused = reply(b"", status, Retry_After="1")
    job = completed(fetch(origin.put(path, in_turn(refused, reply(new_users(2))))), 2)
    assert "last_error" not in job["metrics"]
    assert origin.times(path) == 2


def test_an_attempt_that_failed_says_why_while_it_waits(
    http: httpx.Client, origin: Origin, database: psycopg.Connection
) -> None:
    url = origin.put("/down.csv", reply(b"", 503, Retry_After="30"))
    job_id = http.post(f"/v1/imports?resource=users&url={url}%3Fa=secret").json()["job_id"]
    until(lambda: "replied 503" in last_error(database, job_id))
    job = http.get(f"/v1/imports/{job_id}").json()
    assert (job["status"], job["phase"]) == ("pending", "fetch")
    assert "replied 503" in job["metrics"]["last_error"]
    assert "secret" not in json.dumps(job)
    assert http.post(f"/v1/imports/{job_id}/cancel").status_code == 202


def test_a_fetch_that_never_works_is_given_up(
    http: httpx.Client, origin: Origin, database: psycopg.Connection
) -> None:
    url = origin.put("/never.csv", reply(b"", 500, Retry_After="0"))
    reply_ = http.post(
        f"/v1/imports?resource=users&url={url}", headers={"Prefer": "wait=40"}, timeout=60
    )
    why = failed(reply_)
    assert "5 times" in why
    assert "replied 500" in why
    assert origin.times("/never.csv") == 5


def test_a_cut_download_is_resumed_where_it_was_cut(origin: Origin, fetch: Ask) -> None:
    file = Ranges(new_users(10_000), cuts=[100_000, 150_000])
    completed(fetch(origin.put("/cut.csv", file)), 10_000)
    assert file.asked == [None, "bytes=100000-", "bytes=250000-"]


def test_an_old_enough_date_is_proof_of_the_same_file_too(origin: Origin, fetch: Ask) -> None:
    modified = formatdate(time.time() - 3600, usegmt=True)
    file = Ranges(new_users(10_000), cuts=[100_000], tag=None, modified=modified)
    completed(fetch(origin.put("/dated.csv", file)), 10_000)
    assert file.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    "file",
    [
        Ranges(new_users(10_000), cuts=[100_000], tag='W/"weak"'),
        Ranges(new_users(10_000), cuts=[100_000], tag=None),
        Ranges(new_users(10_000), cuts=[100_000], ranges=False),
    ],
    ids=["weak tag", "no tag", "no ranges"],
)
def test_a_cut_download_that_cannot_be_resumed_begins_anew(
    origin: Origin, fetch: Ask, file: Ranges
) -> None:
    completed(fetch(origin.put("/anew.csv", file)), 10_000)
    assert file.asked[-1] is None


def test_a_file_that_has_changed_is_never_pieced_together(origin: Origin, fetch: Ask) -> None:
    old, new = new_users(10_000), new_users(10_001)
    first = Ranges(old, cuts=[100_000], tag='"old"')
    origin.put("/changed.csv", in_turn(first, Ranges(new, tag='"new"')))
    completed(fetch(origin.url("/changed.csv")), 10_001)


def wrong_range(body: bytes) -> Callable[[Handler], None]:
    """Resumes at another place than it was asked for."""

    def answer(ask: Handler) -> None:
        total = len(body)
        if ask.headers.get("range"):
            ask.head(
                206, Content_Length=total - 10, Content_Range=f"bytes 10-{total - 1}/{total}",
                ETag='"one"',
            )  # fmt: skip
            ask.wfile.write(body[10:])
            return
        ask.head(200, Content_Length=total, ETag='"one"')
        ask.wfile.write(body[:100_000])
        ask.cut()

    return answer


def test_a_resumption_at_the_wrong_place_is_not_believed(origin: Origin, fetch: Ask) -> None:
    body = new_users(10_000)
    origin.put("/lie.csv", in_turn(wrong_range(body), wrong_range(body), reply(body)))
    completed(fetch(origin.url("/lie.csv")), 10_000)


def short(ask: Handler) -> None:
    """Promises more than it sends."""
    body = new_users(100)
    ask.head(200, Content_Length=len(body) + 500)
    ask.wfile.write(body)
    ask.close_connection = True


def half_chunked(ask: Handler) -> None:
    """Ends without the last chunk."""
    ask.head(200, Transfer_Encoding="chunked", Content_Type="text/csv")
    body = new_users(100)
    ask.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    ask.close_connection = True


@pytest.mark.parametrize("answer", [short, half_chunked])
def test_a_body_that_ends_too_early_is_not_taken_for_the_file(
    origin: Origin, fetch: Ask, answer: Callable[[Handler], None]
) -> None:
    path = f"/{answer.__name__}.csv"
    completed(fetch(origin.put(path, in_turn(answer, reply(new_users(7))))), 7)


def test_compressed_data_that_is_cut_off_fails_the_job(origin: Origin, fetch: Ask) -> None:
    packed = gzip.compress(new_users(5000))[:-20]
    assert "cut off" in failed(fetch(origin.put("/torn.csv.gz", packed)))


def test_more_than_the_cap_is_refused_before_and_after_inflating(
    origin: Origin, fetch: Ask
) -> None:
    assert str(CAP) in failed(fetch(origin.put("/big.csv", b"email\n" + b"a" * CAP)))
    bomb = gzip.compress(b"email\n" + b"a\n" * CAP)
    assert "SLUICE_MAX_UPLOAD_BYTES" in failed(fetch(origin.put("/bomb.csv.gz", bomb)))
    assert "SLUICE_MAX_UPLOAD_BYTES" in failed(
        fetch(origin.put("/bomb.csv", gzipped(b"email\n" + b"a\n" * CAP)))
    )


def test_a_body_without_end_is_given_up(origin: Origin, fetch: Ask) -> None:
    origin.put("/drip.csv", endless(b"email\n", 0.05))
    assert "4 seconds" in failed(fetch(origin.url("/drip.csv")))


def test_a_file_that_cannot_be_read_fails_the_job_with_the_reason(
    origin: Origin, fetch: Ask
) -> None:
    assert "'colour'" in failed(fetch(origin.put("/header.csv", b"email,colour\na@b.org,red\n")))
    assert "file is empty" in failed(fetch(origin.put("/empty.csv", b"")))
    assert "format=" in failed(fetch(origin.put("/what", b"email\n")))
    assert "format=" in failed(
        fetch(origin.put("/page", reply(b"<html>", Content_Type="text/html")))
    )
    assert "JSON" in failed(fetch(origin.put("/broken.json", b"[{]")))


def test_nobody_listens_there(http: httpx.Client, fetch: Ask, start_service: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/u.csv"
    assert "SLUICE_URL_HOSTS" in is_problem(fetch(url), 400)["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/u.csv",
        "https://example.org/u.csv",
        "http://me:pass@{host}/u.csv",
        "ftp://{host}/u.csv",
        "file:///etc/passwd",
        "u.csv",
        "",
        "http://{host}/a b.csv",
        "http://169.254.169.254/",
    ],
)
def test_a_url_against_the_rules_is_refused_at_once(
    http: httpx.Client, origin: Origin, database: psycopg.Connection, url: str
) -> None:
    before = database.execute("select count(*) from sluice.job").fetchone()
    url = url.format(host=origin.host)
    detail = is_problem(http.post("/v1/imports", json={"resource": "users", "url": url}), 400)
    assert "pass" not in json.dumps(detail).replace("password", "")
    is_problem(http.post("/v1/imports", params={"resource": "users", "url": url}), 400)
    is_problem(http.post("/v1/imports", data={"resource": "users", "url": url}), 400)
    assert database.execute("select count(*) from sluice.job").fetchone() == before


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"url": "{}"}, "resource"),
        ({"resource": "nope", "url": "{}"}, "nope"),
        ({"resource": "users", "url": "{}", "colour": "red"}, "colour"),
        ({"resource": "users", "url": "{}", "mode": "perhaps"}, "mode"),
        ({"resource": "users", "url": "{}", "format": "xml"}, "format"),
        ({"resource": "users", "url": "{}", "source_path": "u.csv"}, "one of"),
        ({"resource": "users", "url": "{}", "file_url": "http://other/"}, "twice"),
        ({"resource": "users", "url": "{}", "callback_url": "http://127.0.0.1:1/"}, "callback_url"),
        ({"resource": "users", "url": ["a", "b"]}, "https"),
        ({"resource": "users", "object": "exports/x.csv"}, "imports/"),
        ({"resource": "users", "object": "imports/../exports/x.csv"}, "upwards"),
        ({"resource": "users", "source_path": "../outside.csv"}, "leads out"),
        ({"resource": "users", "source_path": "/etc/passwd"}, "leads out"),
        ({"resource": "users", "source_path": "deep/../../outside.csv"}, "leads out"),
        ({"resource": "users", "source_path": ""}, "name a file"),
        ({"resource": "users", "source_path": "a\u0000b"}, "NUL"),
        ({"resource": "users", "source_path": "a\nb"}, "printable"),
        ({"resource": "users", "source_path": "\ud800.csv"}, "surrogate"),
        ({"resource": "users", "url": "{}", "mapping": {"\ud800": "email"}}, "mapping"),
        ({"resource": "users", "url": "{}", "defaults": {"role": "\u0000"}}, "defaults"),
        ({"resource": "users", "url": "{}", "\udfff": "x"}, "unknown"),
        ({"resource": "users", "url": {"a": 1}}, "URL"),
        ({"resource": "users", "url": 1e308}, "https"),
    ],
)
def test_a_request_that_cannot_be_is_refused_at_once(
    http: httpx.Client, origin: Origin, body: dict[str, Any], word: str
) -> None:
    text = json.dumps(body).replace("{}", origin.url("/never-asked.csv"))
    headers = {"Content-Type": "application/json"}
    reply_ = http.post("/v1/imports", content=text, headers=headers)
    assert word in is_problem(reply_, 400)["detail"]
    assert origin.times("/never-asked.csv") == 0


def test_a_request_brings_a_file_or_names_one(http: httpx.Client, origin: Origin) -> None:
    query = f"/v1/imports?resource=users&url={origin.url('/u.csv')}"
    text = {"Content-Type": "text/csv"}
    is_problem(http.post(query, content=USERS, headers=text), 400)
    is_problem(http.post(query, files={"file": ("u.csv", USERS)}), 400)
    late = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="u.csv"\r\n\r\n'
        + USERS
        + b'\r\n--B\r\nContent-Disposition: form-data; name="url"\r\n\r\nhttps://h.org/\r\n--B--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    reply_ = http.post("/v1/imports?resource=users", content=late, headers=headers)
    assert "brings a file" in is_problem(reply_, 400)["detail"]


def test_what_curl_calls_a_form_may_still_be_a_file(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Prefer": "wait=30"}
    where = "/v1/imports?resource=users&format=csv"
    completed(http.post(where, content=new_users(3), headers=headers), 3)
    reply_ = http.post("/v1/imports?resource=users", content=new_users(3), headers=headers)
    assert "format=" in is_problem(reply_, 400)["detail"]


def test_a_repeated_request_makes_one_job(http: httpx.Client, origin: Origin, fetch: Ask) -> None:
    url = origin.put("/once.csv", new_users(6))
    key = {"Idempotency-Key": uuid4().hex}
    first = completed(fetch(url, key, results=True), 6)
    again = fetch(url, key, results="true")
    assert again.status_code == 200, "the first one waited for the end"
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["job_id"] == first["job_id"]
    assert again.json()["duplicate"] is True
    query = f"/v1/imports?resource=users&results=true&url={url}"
    assert http.post(query, headers=key).json()["job_id"] == first["job_id"]
    is_problem(fetch(url + "?other", key, results=True), 422)
    is_problem(fetch(url, key), 422)
    assert origin.times("/once.csv") == 1


def test_an_import_that_waits_for_its_file_keeps_its_place(
    http: httpx.Client, origin: Origin
) -> None:
    """Both write the same row: the younger one must be the last to do so."""
    mail = f"{uuid4().hex}@example.org"
    slow = Dripping(f"email,name,role\n{mail},First,reader\n".encode(), 20)
    older = http.post(
        "/v1/imports", json={"resource": "users", "url": origin.put("/slow.csv", slow)}
    ).json()["job_id"]
    assert slow.begun.wait(10)
    younger = http.post(
        "/v1/imports?resource=users",
        content=f"email,name,role\n{mail},Second,reader\n",
        headers={"Content-Type": "text/csv", "Prefer": "wait=1"},
    )
    assert younger.status_code == 202
    slow.go_on.set()
    jobs = [until(partial(ended, http, job_id)) for job_id in (older, younger.json()["job_id"])]
    assert [job["counts"]["inserted"] for job in jobs] == [1, 0]
    assert jobs[1]["counts"]["updated"] == 1


def ended(http: httpx.Client, job_id: str) -> dict[str, Any] | None:
    job: dict[str, Any] = http.get(f"/v1/imports/{job_id}").json()
    return job if job["status"] in ("completed", "failed", "cancelled") else None


def test_a_fetch_that_is_cancelled_stops_and_leaves_nothing(
    http: httpx.Client, origin: Origin, database: psycopg.Connection
) -> None:
    tag = uuid4().hex
    text = "email,name,role\n" + "".join(f"{n}.{tag}@example.org,N,reader\n" for n in range(30_000))
    slow = Dripping(text.encode(), len(text) - 100)
    url = origin.put("/cancelled.csv", slow)
    job_id = http.post("/v1/imports", json={"resource": "users", "url": url}).json()["job_id"]
    stage = f"select to_regclass('sluice_stage.s_{job_id.replace('-', '')}')"
    until(lambda: database.execute(stage.encode()).fetchone() != (None,))
    assert http.post(f"/v1/imports/{job_id}/cancel").status_code == 202
    job = until(lambda: ended(http, job_id))
    slow.go_on.set()
    assert job["status"] == "cancelled"
    assert set(job["counts"].values()) == {0}
    until(lambda: database.execute(stage.encode()).fetchone() == (None,))


def test_a_path_in_the_import_folder_becomes_an_import(folder: Path, fetch: Ask) -> None:
    (folder / "deep" / "users.csv.gz").write_bytes(gzip.compress(new_users(8)))
    job = completed(fetch(source_path="deep/users.csv.gz"), 8)
    assert job["source"] == {"source_path": "deep/users.csv.gz"}
    assert job["file_name"] == "users.csv.gz"
    (folder / "users_data.json").write_bytes(ndjson(4))
    completed(fetch(sourcePath="users_data.json"), 4)
    (folder / "whole.csv").write_bytes(new_users(2))
    completed(fetch(source_path=str(folder / "whole.csv")), 2)


def test_links_in_the_import_folder_may_not_lead_out_of_it(folder: Path, fetch: Ask) -> None:
    (folder / "good.csv").write_bytes(new_users(3))
    (folder / "within.csv").symlink_to("good.csv")
    (folder / "out.csv").symlink_to(folder.parent / "outside.csv")
    (folder / "above").symlink_to(folder.parent)
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "nowhere.csv").symlink_to("/nowhere/at/all.csv")
    completed(fetch(source_path="within.csv"), 3)
    for path in ("out.csv", "above/outside.csv", "nowhere.csv"):
        assert "leads out" in failed(fetch(source_path=path))
    failed(fetch(source_path="loop.csv"))


def test_what_is_no_file_is_not_read(folder: Path, fetch: Ask) -> None:
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    for path in ("pipe.csv", "folder.csv"):
        assert "not a regular file" in failed(fetch(source_path=path))
    assert "there is no file" in failed(fetch(source_path="missing.csv"))
    assert "there is no file" in failed(fetch(source_path="pipe.csv/users.csv"))
    (folder / "unnamed").write_bytes(new_users(1))
    assert "format=" in failed(fetch(source_path="unnamed"))


def test_without_an_import_folder_no_path_is_taken(start_service: Callable[..., Any]) -> None:
    bare = start_service()
    reply_ = httpx.post(
        f"{bare.url}/v1/imports", json={"resource": "users", "source_path": "users.csv"}
    )
    assert "SLUICE_IMPORT_DIR" in is_problem(reply_, 400)["detail"]
    reply_ = httpx.post(
        f"{bare.url}/v1/imports", json={"resource": "users", "url": "http://127.0.0.1/u.csv"}
    )
    assert "https://" in is_problem(reply_, 400)["detail"]


def test_an_object_of_the_store_becomes_an_import(store: Path, fetch: Ask) -> None:
    (store / "imports" / "today").mkdir(parents=True)
    (store / "imports" / "today" / "users.csv.zst").write_bytes(zstandard.compress(new_users(5000)))
    job = completed(fetch(object="imports/today/users.csv.zst"), 5000)
    assert job["source"] == {"object": "imports/today/users.csv.zst"}
    failed(fetch(object="imports/missing.csv"))


def test_a_callback_is_kept_with_the_job(
    http: httpx.Client, origin: Origin, database: psycopg.Connection, fetch: Ask
) -> None:
    hook = origin.put("/hook", reply(b""))
    job = completed(fetch(origin.put("/called.csv", new_users(2)), callback_url=hook), 2)
    assert "callback_url" not in job["options"]
    until(lambda: origin.times("/hook") == 1)
    reply_ = http.post(
        f"/v1/imports?resource=users&callbackUrl={hook}",
        content=new_users(2),
        headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
    )
    completed(reply_, 2)
    until(lambda: origin.times("/hook") == 2)
