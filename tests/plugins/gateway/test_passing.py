"""What passes a gateway, and what does not."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from argosy_gateway import server
from gateways import TOKEN, Answer, Gateway, Origin, Seen, ask, send
from plugins.gateway.conftest import StartGateway


def names(fields: list[tuple[str, str]]) -> set[str]:
    return {name.lower() for name, _ in fields}


def test_a_request_gets_the_token_and_the_response_has_none(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda seen: Answer(
        200,
        [
            ("Content-Type", "text/plain"),
            ("ETag", '"1"'),
            ("Set-Cookie", "sid=from-the-service"),
            ("X-Echo", f"the token is {TOKEN}"),
            ("Authentication-Info", 'nextnonce="abc"'),
            ("WWW-Authenticate", "Bearer"),
            ("Alt-Svc", 'h3=":443"'),
            ("Connection", "X-Of-This-Connection"),
            ("X-Of-This-Connection", "1"),
            ("X-Plain", "1"),
            ("X-Plain", "2"),
        ],
        b"body",
    )
    got = gateway.get("/a?b=%7E&c=d+e", Cookie="sid=mine", Authorization="Basic bWU6bWU=", X_Mine="1", TE="trailers")
    (seen,) = origin.seen
    assert (seen.method, seen.path, seen.all("Authorization")) == ("GET", "/a?b=~&c=d+e", [f"Bearer {TOKEN}"])
    assert (seen.all("Host"), seen.all("Cookie"), seen.all("X-Mine")) == ([origin.url[7:]], [], ["1"])
    assert "TE" not in names(seen.fields)
    assert seen.all("User-Agent")[0].startswith("argosy/"), "that of the login"
    assert (got.status, got.body, got.all("ETag"), got.all("X-Plain")) == (200, b"body", ['"1"'], ["1", "2"])
    dropped = {"set-cookie", "x-echo", "authentication-info", "www-authenticate", "alt-svc", "x-of-this-connection"}
    assert not dropped & names(got.fields)
    assert (got.all("Content-Length"), got.all("Referrer-Policy")) == (["4"], ["same-origin"])
    assert TOKEN not in str(got)


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("/b", "{base}/b"),
        ("b?c#d", "{base}/x/b?c#d"),
        ("{origin}/b?c=1", "{base}/b?c=1"),
        ("{origin}", "{base}/"),
        ("//{host}/b", "{base}/b"),
        ("https://{host}/b", "https://{host}/b"),
        ("https://other.example/b", "https://other.example/b"),
    ],
)
def test_redirects_of_the_service_lead_back(gateway: Gateway, origin: Origin, sent: str, got: str) -> None:
    words = {"origin": origin.url, "host": origin.url[7:], "base": gateway.url}
    origin.answer = lambda seen: Answer(302, [("Location", sent.format(**words))], b"<html>moved")
    answer = gateway.get("/x/a")
    assert (answer.status, answer.all("Location")) == (302, [got.format(**words)])
    assert (answer.body, answer.all("Content-Length")) == (b"", ["0"])


def test_other_fields_with_urls_lead_back(gateway: Gateway, origin: Origin) -> None:
    links = f'<{origin.url}/p?2>; rel="next", </p?9>; rel="last", <https://other.example/>; rel="help"'
    fields = [("Content-Location", "/c"), ("Refresh", f"5; url={origin.url}/r"), ("Link", links)]
    origin.answer = lambda seen: Answer(200, fields)
    got = gateway.get("/x")
    assert got.all("Content-Location") == [f"{gateway.url}/c"]
    assert got.all("Refresh") == [f"5; url={gateway.url}/r"]
    assert got.all("Link") == [
        f'<{gateway.url}/p?2>; rel="next", <{gateway.url}/p?9>; rel="last", <https://other.example/>; rel="help"'
    ]


def test_the_service_does_not_see_the_gateways_url(gateway: Gateway, origin: Origin) -> None:
    own = gateway.url.rpartition("/")[0]
    gateway.get("/a", Referer=f"{gateway.url}/page?1", Origin=own)
    gateway.get("/a", Referer=f"{own}/")
    gateway.get("/a", Referer="https://other.example/")
    assert [seen.all("Referer") for seen in origin.seen] == [
        [f"{origin.url}/page?1"],
        [f"{origin.url}/"],
        ["https://other.example/"],
    ]
    assert origin.seen[0].all("Origin") == [origin.url]
    assert gateway.secret not in str(origin.seen)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_methods_pass(gateway: Gateway, origin: Origin, method: str) -> None:
    origin.answer = lambda seen: Answer(200, [("X-Method", seen.method)], b"hello")
    got = gateway.get("/a", method)
    assert (got.status, got.all("X-Method"), got.all("Content-Length")) == (200, [method], ["5"])
    assert got.body == (b"" if method == "HEAD" else b"hello")


def test_ranges_and_conditions_pass(gateway: Gateway, origin: Origin) -> None:
    def answer(seen: Seen) -> Answer:
        if seen.all("If-None-Match"):
            return Answer(304, [("ETag", '"1"')])
        return Answer(206, [("Content-Range", "bytes 2-3/9")], b"cd")

    origin.answer = answer
    part = gateway.get("/a", Range="bytes=2-3", If_Range='"1"')
    assert (part.status, part.body, part.all("Content-Range")) == (206, b"cd", ["bytes 2-3/9"])
    assert (origin.seen[0].all("Range"), origin.seen[0].all("If-Range")) == (["bytes=2-3"], ['"1"'])
    unchanged = gateway.get("/a", If_None_Match='"1"')
    assert (unchanged.status, unchanged.body, unchanged.all("ETag")) == (304, b"", ['"1"'])


def test_a_compressed_body_passes_as_it_is(gateway: Gateway, origin: Origin) -> None:
    data = gzip.compress(b"text" * 1000)
    origin.answer = lambda seen: Answer(200, [("Content-Encoding", "gzip")], data)
    got = gateway.get("/a", Accept_Encoding="br, gzip;q=0.9, zstd")
    assert (got.body, got.all("Content-Encoding"), got.all("Content-Length")) == (data, ["gzip"], [str(len(data))])
    for others in ("br", "gzip;q=0, identity", "x-gzip", "gzip ; q=0.000"):
        gateway.get("/a", Accept_Encoding=others)
    codings = [seen.all("Accept-Encoding") for seen in origin.seen]
    assert codings == [["gzip"], *[["identity"]] * 4], "argosy has to recognize a login page"


def pieces() -> Iterator[bytes]:
    yield from (b"one", b"two", b"three")


def test_a_body_without_a_length_passes_in_chunks(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda seen: Answer(body=pieces(), chunked=True)
    got = gateway.get("/a")
    assert (got.body, got.all("Transfer-Encoding"), got.all("Content-Length")) == (b"onetwothree", ["chunked"], [])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_ends_early_is_not_complete_for_the_client(gateway: Gateway, origin: Origin, chunked: bool) -> None:
    def cut() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    origin.answer = lambda seen: Answer(body=cut(), chunked=chunked, length=None if chunked else 9)
    request = f"GET /{gateway.secret}/a HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode()
    with send(gateway.port, request) as connection, connection.makefile("rb") as stream:
        everything = stream.read()
    assert everything.startswith(b"HTTP/1.1 200 OK\r\n")
    assert everything.partition(b"\r\n\r\n")[2] == (b"4\r\nhalf\r\n" if chunked else b"half")


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_requests_pass(gateway: Gateway, origin: Origin, size: int, chunked: bool) -> None:
    data = os.urandom(size)
    got = gateway.get("/a", "POST", iter([data]) if chunked else data, Content_Type="text/x-mine")
    (seen,) = origin.seen
    assert (got.status, seen.body == data, seen.all("Content-Type")) == (200, True, ["text/x-mine"])
    assert seen.all("Content-Length") == [str(size)]


@pytest.mark.slow
def test_the_transport_curl_passes_the_same(origin: Origin, start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway(origin.config(tmp_path, transport="curl"))
    data = os.urandom(500_000)
    origin.answer = lambda seen: Answer(201, [("X-Method", seen.method), ("X-Echo", TOKEN)], seen.body or data)
    got = gateway.get("/a?b")
    assert (got.status, got.body, got.all("X-Echo")) == (201, data, [])
    assert (gateway.get("/a", "HEAD").body, gateway.get("/a", "POST", b"form=1").body) == (b"", b"form=1")
    assert gateway.get("/a", "POST", data).body == data
    too_large = gateway.get("/a", "POST", bytes(2_000_000))
    assert (too_large.status, b"must be text or bytes" in too_large.body) == (502, True)


def test_expect_100_continue(gateway: Gateway, origin: Origin) -> None:
    fields = f"Host: 127.0.0.1:{gateway.port}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
    with send(gateway.port, f"POST /{gateway.secret}/a HTTP/1.1\r\n{fields}\r\n".encode()) as connection:
        stream = connection.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        assert origin.seen == [], "nobody waits for a client that is slow to send"
        connection.sendall(b"data")
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        stream.close()
    assert [seen.body for seen in origin.seen] == [b"data"]


def test_upgrades_are_refused_except_to_http_2(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get("/a", Connection="Upgrade", Upgrade="websocket").status == 501
    assert origin.seen == []
    assert gateway.get("/a", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAMA").status == 200
    assert not {"upgrade", "http2-settings"} & names(origin.seen[0].fields)


def test_bytes_beyond_ascii_in_fields_stay_as_they_are(gateway: Gateway, origin: Origin) -> None:
    name = "Ärger.pdf"
    raw = f'attachment; filename="{name}"'.encode().decode("latin-1")
    origin.answer = lambda seen: Answer(200, [("Content-Disposition", raw)])
    head = f"GET /{gateway.secret}/a HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Title: {name}\r\n\r\n"
    with send(gateway.port, head.encode()) as connection, connection.makefile("rb") as stream:
        assert name.encode() in stream.read()
    assert origin.seen[0].all("X-Title") == [name.encode().decode("latin-1")]


def test_a_client_of_http_1_0(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda seen: Answer(body=pieces(), chunked=True)
    head = f"GET /{gateway.secret}/a HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
    with send(gateway.port, head.encode()) as connection, connection.makefile("rb") as stream:
        assert stream.read().endswith(b"\r\n\r\nonetwothree")


def test_several_origins_have_a_segment_each(origin: Origin, start_gateway: StartGateway, tmp_path: Path) -> None:
    with Origin() as other:
        gateway = start_gateway(origin.config(tmp_path), "--origin", origin.url, "--origin", other.url)
        first, second = origin.url[7:], other.url[7:]
        origin.answer = lambda seen: Answer(307, [("Location", f"{other.url}/there?x")])
        assert gateway.get(f"/{first}/here").all("Location") == [f"{gateway.url}/{second}/there?x"]
        assert gateway.get(f"/{second}/there?x").body == b"ok"
        assert (origin.seen[0].path, other.seen[0].path) == ("/here", "/there?x")
        assert other.seen[0].all("Authorization") == [], "the token is for the first one only"
        link = ask(f"http://127.0.0.1:{gateway.port}/x", Referer=f"{gateway.url}/{second}/page")
        assert link.all("Location") == [f"/{gateway.secret}/{second}/x"]
        wrong = gateway.get("/there")
        assert wrong.status == 404
        assert f"/{first}/..." in wrong.body.decode()


def status_of(pid: int, name: str) -> int:
    """Return a figure of a process in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.torture(145)
def test_a_slow_client_costs_no_memory(gateway: Gateway, origin: Origin) -> None:
    size, piece = 200 << 20, bytes(1 << 20)
    origin.answer = lambda seen: Answer(body=(piece for _ in range(size >> 20)), length=size)
    before = status_of(gateway.process.pid, "VmRSS")
    request = f"GET /{gateway.secret}/a HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode()
    with send(gateway.port, request) as connection:
        got = 0
        while got < 20 << 20:
            got += len(connection.recv(4096))
        assert origin.sent < (20 << 20) + (30 << 20), "the buffers of a few sockets"
        assert gateway.get("/b", "HEAD").status == 200, "others are served meanwhile"
    assert status_of(gateway.process.pid, "VmHWM") - before < 40_000


def test_the_log_says_what_passed_without_secrets(origin: Origin, start_gateway: StartGateway, tmp_path: Path) -> None:
    def cut() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    gateway = start_gateway(origin.config(tmp_path), "-v")
    gateway.get("/books/1?page=2&access_token=abcdef", Cookie="sid=of-the-client")
    ask(f"http://127.0.0.1:{gateway.port}/wrong/books")
    origin.answer = lambda seen: Answer(body=cut(), length=9)
    with pytest.raises(http.client.IncompleteRead):
        gateway.get("/cut")
    assert gateway.stop() == 0
    for line in (
        "GET /books/1?page=2&access_token=*** 200 2 bytes ",
        "GET - 404 0 bytes ",
        "GET /cut 200 4 bytes ",
        "(the body ended early: ",
    ):
        assert line in gateway.log
    for secret in (gateway.secret, TOKEN, "abcdef", "of-the-client"):
        assert secret not in gateway.log


def test_a_service_that_cannot_be_reached(start_gateway: StartGateway, tmp_path: Path) -> None:
    with Origin() as gone:
        config = gone.config(tmp_path, max_outage=0)
    got = start_gateway(config).get("/a")
    assert got.status in (502, 503)
    assert "refused" in got.body.decode().lower()


def test_a_connection_that_the_service_closes_is_replaced_for_a_get(gateway: Gateway, origin: Origin) -> None:
    def answer(seen: Seen) -> Answer:
        if len(origin.seen) == 1:
            raise ConnectionResetError
        return Answer(body=b"ok")

    origin.answer = answer
    assert gateway.get("/a").body == b"ok"
    del origin.seen[:]
    assert gateway.get("/a", "POST", b"once").status == 502
    assert len(origin.seen) == 1


@pytest.mark.torture(145)
def test_a_client_that_leaves_harms_nothing(origin: Origin, start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway(origin.config(tmp_path), "-v")
    piece = bytes(1 << 20)
    origin.answer = lambda seen: Answer(body=(piece for _ in range(64)), length=64 << 20)
    request = f"GET /{gateway.secret}/a HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode()
    for _ in range(3):
        with send(gateway.port, request) as connection:
            connection.recv(1000)
            connection.shutdown(socket.SHUT_RDWR)
    origin.answer = lambda seen: Answer(body=b"ok")
    assert gateway.get("/b").body == b"ok"
    assert gateway.stop() == 0
    assert gateway.log.count("(the client left)") == 3


def test_a_browser_reports_no_url_of_the_gateway(gateway: Gateway, origin: Origin) -> None:
    dropped = ["NEL", "Report-To", "Reporting-Endpoints", "Clear-Site-Data", "Service-Worker-Allowed"]
    fields = [(name, "x") for name in [*dropped, "Content-Security-Policy-Report-Only"]]
    policy = "default-src 'self'; report-uri https://other.example/csp?a; img-src *; report-to group"
    origin.answer = lambda seen: Answer(200, [*fields, ("Content-Security-Policy", policy)], b"ok")
    got = gateway.get("/a")
    assert {name.lower() for name, _ in got.fields} & {name.lower() for name, _ in fields} == set()
    assert got.all("Content-Security-Policy") == ["default-src 'self';  img-src *;"]


def test_a_failure_after_the_headers_breaks_the_response_off() -> None:
    closed: list[bool] = []
    request: Any = SimpleNamespace(transport=SimpleNamespace(close=lambda: closed.append(True)))
    exchange, failure = server._Exchange(), web.Response(status=502)
    one: Any = object.__new__(server.Gateway)
    assert one._failed(request, exchange, failure) is failure
    exchange.is_begun = True
    with pytest.raises(ConnectionResetError):
        one._failed(request, exchange, failure)
    assert closed == [True]
