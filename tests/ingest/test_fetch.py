"""A file that is fetched comes whole, or a plain reason does."""

from pathlib import Path

import pytest

from pgsluice.ingest import url as module
from pgsluice.ingest.fetch import opened
from pgsluice.ingest.fetch_errors import TryLater, Unfetchable
from pgsluice.settings import Settings

from ..origin import Dripping, Handler, Ranges, running


async def read(settings: Settings, **source: str) -> bytes:
    """The bytes that a source leads to."""
    async with opened(settings, source, None) as file:
        return b"".join([block async for block in file.body])


async def test_a_silent_server_is_given_up_and_the_rest_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.3)
    body = bytes(range(256)) * 4000
    stalls = Dripping(body, 100_000)

    def answer(ask: Handler) -> None:
        if ask.headers.get("range"):
            rest(ask)
        else:
            ask.head(200, Content_Length=len(body), ETag='"one"')
            ask.wfile.write(body[:100_000])
            ask.wfile.flush()
            stalls.go_on.wait(20)

    rest = Ranges(body)
    with running() as origin:
        settings = Settings(url_hosts=origin.host)
        assert await read(settings, url=origin.put("/u.csv", answer)) == body
        assert rest.asked == ["bytes=100000-"]
        with pytest.raises(TryLater, match=r"nothing came for 0 seconds"):
            await read(settings, url=origin.put("/v.csv", stalls))
        stalls.go_on.set()


async def test_a_server_that_cuts_every_reply_is_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.01)
    file = Ranges(b"a" * 1000, cuts=[10] * 100)
    with running() as origin, pytest.raises(TryLater, match="cut after 210 bytes"):
        await read(Settings(url_hosts=origin.host), url=origin.put("/u.csv", file))
    assert len(file.asked) == 21


async def test_a_refused_resumption_fails_for_good() -> None:
    """The file was taken away in the middle of it."""

    def answer(ask: Handler) -> None:
        if ask.headers.get("range"):
            ask.head(404, Content_Length=0)
            return
        ask.head(200, Content_Length=1000, ETag='"one"')
        ask.wfile.write(b"a" * 10)
        ask.close_connection = True

    with running() as origin, pytest.raises(Unfetchable, match="404"):
        await read(Settings(url_hosts=origin.host), url=origin.put("/u.csv", answer))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_connection_stays_open() -> None:
    with running() as origin:
        settings = Settings(url_hosts=origin.host)
        origin.put("/u.csv", b"a" * 1_000_000)
        before = open_files()
        for _ in range(20):
            assert len(await read(settings, url=origin.url("/u.csv"))) == 1_000_000
            async with opened(settings, {"url": origin.url("/u.csv")}, None) as file:
                await anext(file.body)
        origin.shutdown()
        origin.server_close()
        assert open_files() <= before + 1


async def test_a_file_that_is_written_to_meanwhile_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_bytes(b"a" * 1_000_000)
    async with opened(Settings(import_dir=tmp_path), {"source_path": "u.csv"}, None) as file:
        await anext(file.body)
        with (tmp_path / "u.csv").open("ab") as more:
            more.write(b"b")
        with pytest.raises(TryLater, match="written to"):
            async for _ in file.body:
                pass


async def test_a_link_put_in_the_way_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the path and the opening, somebody replaces the file by a link."""
    (tmp_path / "secret").write_bytes(b"secret")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "u.csv").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(Path, "resolve", lambda self, **_: self)
    with pytest.raises(Unfetchable, match="cannot be opened"):
        await read(Settings(import_dir=inside), source_path="u.csv")


async def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    with pytest.raises(TryLater, match="is not known"):
        await read(Settings(url_hosts="nobody.invalid"), url="https://nobody.invalid/u.csv")


async def test_a_body_that_is_only_closed_ends_there() -> None:
    """Servers of HTTP/1.0 tell no length: the end of the connection is the end of the file."""

    def answer(ask: Handler) -> None:
        ask.head(200, Connection="close")
        ask.wfile.write(b"email\n")
        ask.close_connection = True

    with running() as origin:
        settings = Settings(url_hosts=origin.host)
        assert await read(settings, url=origin.put("/u.csv", answer)) == b"email\n"
