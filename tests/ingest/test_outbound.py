"""Requests to other hosts reach the public internet, or what is listed, and nothing else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pgsluice import outbound
from pgsluice.outbound import Refused, check_url, client, is_public, shown
from pgsluice.settings import Settings

Reply = Callable[[bytes], bytes]


@asynccontextmanager
async def server(
    reply: Reply, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A socket that answers each request; yields its port and the heads that came."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply(heads[-1]))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heads


def ok(_: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\nhi"


async def get(settings: Settings, url: str) -> httpx.Response:
    async with client(settings, seconds=5) as asking:
        return await asking.get(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/a.csv",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://",
        "//example.org/",
        "users.csv",
        "https://user:word@example.org/",
        "https://user@example.org/",
        "https://@example.org/",
        "https://exam\nple.org/",
        "https://example.org/a b",
        "https://example.org/\x00",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:99999/",
        "https://" + "a." * 200 + "org/",
        "https://example.org/" + "a" * 9000,
        "https://localhost/",
        "https://localhost./",
        "https://a.localhost/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127\u30020\u30020\u30021/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://169.254.169.254/latest/meta-data/",
        "https://172.16.0.1/",
        "https://192.0.0.192/",
        "https://192.168.1.1/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2001:0:7f00:1::]/",
        "https://[2002:7f00:1::]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fec0::1]/",
        "https://[ff0e::1]/",
    ],
)
def test_a_url_that_leads_inside_or_cannot_be_judged_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_url(Settings(), url)


async def test_the_client_judges_for_itself() -> None:
    for url in (
        "http://example.org/",
        "https://me:pass@example.org/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
    ):
        with pytest.raises(Refused):
            await get(Settings(), url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "HTTPS://Example.org:8443/a.csv?X-Signature=1#top",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://b\u00fccher.example/",
    ],
)
def test_a_public_https_url_is_taken(url: str) -> None:
    check_url(Settings(), url)


def test_of_a_list_of_hosts_only_these_are_taken_with_their_ports() -> None:
    settings = Settings(url_hosts="Files.internal, 127.0.0.1:9000,[::1]:80 ,")
    for url in (
        "http://files.internal/",
        "https://files.internal.:8443/",
        "http://127.0.0.1:9000/",
        "http://[::1]/",
    ):
        check_url(settings, url)
    for url in (
        "https://example.org/",
        "http://127.0.0.1/",
        "http://127.0.0.1:9001/",
        "http://[::1]:81/",
        "http://files.internal.example.org/",
        "http://user@files.internal/",
        "file://files.internal/etc/passwd",
    ):
        with pytest.raises(Refused):
            check_url(settings, url)


def test_nothing_secret_is_shown_of_a_url() -> None:
    assert shown("https://me:pass@h.org/a/b.csv?X-Amz-Signature=1#x") == "https://h.org/a/b.csv"
    with pytest.raises(Refused) as refused:
        check_url(Settings(), "http://me:pass@10.0.0.1/a.csv?X-Amz-Signature=secret")
    assert "pass" not in str(refused.value).replace("password", "")
    assert "secret" not in str(refused.value)


async def test_loopback_is_reached_only_when_it_is_listed() -> None:
    async with server(ok) as (port, heads):
        url = f"http://127.0.0.1:{port}/x"
        for hosts in ("", f"127.0.0.1:{port + 1}", "localhost"):
            with pytest.raises(Refused):
                await get(Settings(url_hosts=hosts), url)
        assert heads == []
        for hosts in ("127.0.0.1", f"127.0.0.1:{port}"):
            assert (await get(Settings(url_hosts=hosts), url)).text == "hi"
        assert len(heads) == 2


async def test_a_listed_name_is_reached_under_its_own_name() -> None:
    async with server(ok) as (port, heads):
        await get(Settings(url_hosts="localhost"), f"http://localhost:{port}/x")
    assert f"Host: localhost:{port}\r\n".encode() in heads[0]


def answering(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A resolver that answers each question with the next of these."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        return left.pop(0)

    return resolve


async def test_one_address_that_is_not_public_refuses_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for inside in ("127.0.0.1", "10.0.0.7", "::1", "::ffff:10.0.0.7", "fe80::1%eth0"):
        monkeypatch.setattr(outbound, "resolve", answering(["8.8.8.8", inside]))
        with pytest.raises(Refused, match=r"^the host rebind\.example has an address"):
            await get(Settings(), "https://rebind.example/")


async def test_a_name_that_changes_its_answer_is_asked_once_and_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """127.0.0.2 stands for a public address: the name would lead to 127.0.0.1 when asked again."""
    monkeypatch.setattr(outbound, "is_public", lambda text: text == "127.0.0.2")
    monkeypatch.setattr(outbound, "resolve", answering(["127.0.0.2"], ["127.0.0.1"]))
    async with server(ok) as (port, heads):
        # Nothing listens at 127.0.0.2: no other address is tried, and the name not asked again.
        with pytest.raises(httpx.ConnectError):
            await get(Settings(), f"https://rebind.example:{port}/")
        with pytest.raises(Refused):
            await get(Settings(), f"https://rebind.example:{port}/")
    assert heads == []


async def test_the_next_address_is_tried_when_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbound, "resolve", answering(["127.0.0.3", "127.0.0.1"]))
    async with server(ok) as (port, _):
        settings = Settings(url_hosts="two.example")
        assert (await get(settings, f"http://two.example:{port}/")).text == "hi"


def certificate(name: str, folder: Path) -> Path:
    """A certificate for a host, signed by itself, with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


async def test_tls_names_and_checks_the_host_though_the_address_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate("pinned.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setattr(outbound, "resolve", answering(["127.0.0.1"], ["127.0.0.1"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    names: list[str] = []

    def note(_socket: object, name: str, _context: object) -> None:
        names.append(name)

    context.sni_callback = note
    async with server(ok, tls=context) as (port, heads):
        settings = Settings(url_hosts="pinned.example,other.example")
        assert (await get(settings, f"https://pinned.example:{port}/")).text == "hi"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await get(settings, f"https://other.example:{port}/")
    assert names == ["pinned.example", "other.example"]
    assert len(heads) == 1


async def test_a_redirect_is_handed_back_and_no_cookie_is_kept() -> None:
    async with server(
        lambda _: (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n"
            b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        )
    ) as (port, heads):
        async with client(Settings(url_hosts="127.0.0.1"), seconds=5) as asking:
            reply = await asking.get(f"http://127.0.0.1:{port}/")
            assert (reply.status_code, reply.headers["location"]) == (
                302,
                "http://169.254.169.254/",
            )
            await asking.get(f"http://127.0.0.1:{port}/")
        assert len(heads) == 2
        assert not any(b"cookie" in head.lower() for head in heads)


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(ok) as (proxy, proxied), server(ok) as (port, heads):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        await get(Settings(url_hosts="127.0.0.1"), f"http://127.0.0.1:{port}/")
        assert (len(proxied), len(heads)) == (0, 1)


async def test_an_endless_header_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 300_000
    async with server(lambda _: endless) as (port, _):
        with pytest.raises(httpx.RemoteProtocolError):
            await get(Settings(url_hosts="127.0.0.1"), f"http://127.0.0.1:{port}/")


async def test_a_silent_server_is_not_waited_for_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with client(Settings(url_hosts="127.0.0.1"), seconds=0.3) as asking:
            with pytest.raises(httpx.ReadTimeout):
                await asking.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")


async def test_a_name_nobody_knows_is_no_connection() -> None:
    with pytest.raises(httpx.ConnectError, match="is not known"):
        await get(Settings(), "https://nobody.invalid/")


def test_translated_addresses_count_as_what_they_stand_for() -> None:
    assert is_public("64:ff9b::808:808")
    assert not is_public("64:ff9b::a00:1")
    assert is_public("::ffff:8.8.8.8")
