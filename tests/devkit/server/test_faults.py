"""Each fault is on the wire what it says."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from argosy.errors import ConfigError
from argosy_devkit import FAULT_KINDS, Fault, LibraryServer, ServerFactory, body_of

Browse = Callable[[LibraryServer], Any]
PATH = "/files/a?size=1000"
BODY = body_of("a", 1000)


def _body(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


def _token_after(someone: Any) -> int:
    """Whether the token that the browser had is still good: its status."""
    return int(someone.fetch("/").status)


def test_every_fault_does_something() -> None:
    from argosy_devkit.server import effects

    elsewhere = {"login_page", "delete_cookie", "etag_change", "ignore_range"}  # done before there is a plan
    assert set(FAULT_KINDS) == set(effects._EFFECTS) | elsewhere


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown fault 'cutt'"):
        Fault("cutt")
    with pytest.raises(ConfigError, match="at least 1"):
        Fault("cut", every=0)


def test_cut(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("cut", fraction=0.25, times=1)])
    someone = browser(server)
    raw = someone.raw(PATH)
    assert b"Content-Length: 1000\r\n" in raw
    assert _body(raw) == BODY[:250]
    assert server.stats().faults == {"cut": 1}
    assert server.stats().bodies_completed == {}


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        (Fault("status", status=429, retry_after=3), "3"),
        (Fault("status", status=429, retry_after="soon"), "soon"),
        (Fault("status", status=429), None),
    ],
)
def test_status(library_server: ServerFactory, browser: Browse, fault: Fault, value: str | None) -> None:
    server = library_server(faults=[fault])
    reply = browser(server).keep(PATH)
    assert (reply.status, reply.headers["Retry-After"]) == (429, value)
    assert reply.set_cookies(), "an error replaces the token as well"


def test_status_with_a_date(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("status", retry_after_date=3600)], date_offset=0)
    reply = browser(server).fetch(PATH)
    later, now = (parsedate_to_datetime(reply.headers[name]) for name in ("Retry-After", "Date"))
    assert 3598 <= (later - now).total_seconds() <= 3602


@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_lost_and_reset_replace_the_token_and_say_nothing(
    library_server: ServerFactory, browser: Browse, kind: str
) -> None:
    server = library_server(faults=[Fault(kind, times=1)])
    someone = browser(server)
    if kind == "lost":
        assert someone.raw(PATH) == b""
    else:
        with pytest.raises(ConnectionResetError):
            someone.raw(PATH)
    assert server.stats().rotations == 1
    assert _token_after(someone) == 401
    assert server.stats().replaced_tokens_sent == 1


def test_reset_in_the_body(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("reset", fraction=0.5)])
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        browser(server).fetch("/files/a?size=10000000")


def test_hang_replaces_the_token_and_says_nothing(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("hang", times=1)])
    someone = browser(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as sock:
        cookie = someone._cookie(None)["Cookie"]
        sock.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        with pytest.raises(TimeoutError):
            sock.recv(1)
        while not server.stats().faults:  # on a busy machine the request may not have been read yet
            pass
    assert _token_after(someone) == 401


def test_hang_for_a_while(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("hang", seconds=0.05)])
    assert browser(server).raw(PATH) == b""


def test_close_after_closes_without_a_word(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("close_after")])
    someone = browser(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", PATH, headers=someone._cookie(None))
    with connection.getresponse() as response:
        assert response.read() == BODY
        assert response.headers["Connection"] is None
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_dripping_headers_and_bodies(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("drip_headers", seconds=0.0001, times=1), Fault("slow_drip", rate=100)])
    someone = browser(server)
    assert someone.keep(PATH).body == BODY
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", PATH, headers=someone._cookie(None))
    response = connection.getresponse()
    assert 1 <= len(response.read1(1000)) < 1000
    response.close()
    connection.close()


def test_wrong_range(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("wrong_range")])
    someone = browser(server)
    assert someone.keep(PATH).body == BODY, "only where a range is asked for"
    reply = someone.keep(PATH, headers={"Range": "bytes=100-"})
    assert (reply.status, reply.headers["Content-Range"]) == (206, "bytes 50-999/1000")
    assert reply.body == BODY[50:]
    reply = someone.keep(PATH, headers={"Range": "bytes=0-99"})
    assert reply.headers["Content-Range"] == "bytes 1-99/1000"
    assert server.stats().faults == {"wrong_range": 2}


def test_ignore_range(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("ignore_range")])
    reply = browser(server).keep(PATH, headers={"Range": "bytes=100-"})
    assert (reply.status, reply.body, reply.headers["Content-Range"]) == (200, BODY, None)


def test_no_length_and_chunked(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("no_length", times=1), Fault("chunked")])
    someone = browser(server)
    reply = someone.keep(PATH)
    assert (reply.headers["Content-Length"], reply.headers["Transfer-Encoding"], reply.body) == (
        None,
        None,
        BODY,
    )
    for size in (0, 1000, 1_000_000):
        reply = someone.keep(f"/files/a?size={size}")
        assert (reply.headers["Content-Length"], reply.headers["Transfer-Encoding"]) == (None, "chunked")
        assert reply.body == body_of("a", size)


def test_longer_and_bad_length(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(
        lease_mode="static",
        faults=[
            Fault("longer", size=7, times=1),
            Fault("bad_length", times=1),
            Fault("bad_length", length="ten"),
        ],
    )
    someone = browser(server)
    raw = someone.raw(PATH)
    assert b"Content-Length: 1000\r\n" in raw
    assert _body(raw) == BODY + b"?" * 7
    assert b"Content-Length: -5\r\n" in someone.raw(PATH)
    assert b"Content-Length: ten\r\n" in someone.raw(PATH)


def test_redirect_hops(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("redirect", hops=3, times=1)])
    someone = browser(server)
    reply, hops = someone.keep(PATH), 0
    while reply.status == 302:
        hops += 1
        reply = someone.keep(reply.headers["Location"])
    assert (hops, reply.status, reply.body) == (3, 200, BODY)
    assert server.stats().rotations == 4


def test_redirect_loop_and_away(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(
        faults=[Fault("redirect", hops=0, times=1), Fault("redirect", to="http://b.example/", path="away")]
    )
    someone = browser(server)
    target = someone.keep(PATH).headers["Location"]
    assert someone.keep(target).headers["Location"] == target
    assert someone.keep("/files/away?size=1").headers["Location"] == "http://b.example/"


def test_login_page_in_place_of_content(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("login_page", times=1)])
    someone = browser(server)
    reply = someone.keep(PATH)
    assert reply.status == 200
    assert b'type="password"' in reply.body
    assert _token_after(someone) == 401
    assert (server.stats().accepted, server.stats().refused) == (0, 2)


def test_gzip_truncated(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("gzip_truncated")])
    reply = browser(server).fetch("/files/a?size=100000")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Content-Length"] == str(len(reply.body))
    with pytest.raises(EOFError):
        gzip.decompress(reply.body)
    start = zlib.decompressobj(wbits=31).decompress(reply.body)
    assert start
    assert body_of("a", 100_000).startswith(start)


def test_answers_on_one_session_come_late(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("late", session=2, seconds=0.3, path="/files/")])
    one, other = browser(server), browser(server)
    assert one.keep(PATH).status == 200
    assert server.stats().faults == {}
    begun = time.monotonic()
    assert other.keep(PATH).status == 200
    assert time.monotonic() - begun >= 0.3
    assert server.stats().faults == {"late": 1}


def test_early_hints_come_first(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("early_hints")])
    first, _, rest = browser(server).raw(PATH).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 103 ")
    assert b"Set-Cookie" not in first
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert _body(rest) == BODY


def test_broken_and_huge_headers_stand_before_the_cookie(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(
        lease_mode="strict",
        faults=[Fault("broken_headers", times=1), Fault("huge_headers", size=5, count=300)],
    )
    someone = browser(server)
    raw = someone.raw(PATH)
    assert raw.index(b"\r\nthis line is no header\r\n") < raw.index(b"Set-Cookie: token=")
    someone.login()
    raw = someone.raw(PATH)
    assert raw.index(b"X-Filler-299: xxxxx\r\n") < raw.index(b"Set-Cookie: token=")
    server.change(faults=[Fault("huge_headers")])
    someone.login()
    with pytest.raises(http.client.LineTooLong):
        someone.fetch(PATH)


def test_etag_change_is_for_good(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="static", faults=[Fault("etag_change", every=2, times=1)])
    someone = browser(server)
    first, second, third = (someone.fetch(PATH) for _ in range(3))
    assert (first.body, second.body, third.body) == (BODY, body_of("a", 1000, 1), body_of("a", 1000, 1))
    assert first.headers["ETag"] != second.headers["ETag"] == third.headers["ETag"]
    again = someone.fetch(PATH, headers={"Range": "bytes=5-", "If-Range": first.headers["ETag"]})
    assert again.status == 200


def test_delete_cookie_ends_the_session(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("delete_cookie", times=1)])
    someone = browser(server)
    reply = someone.fetch(PATH)
    assert (reply.status, reply.body) == (200, BODY)
    assert reply.set_cookies() == ["token=; Path=/; HttpOnly; Max-Age=0"]
    assert _token_after(someone) == 401


def test_foreign_cookies_come_after_the_token(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(faults=[Fault("foreign_cookie")])
    cookies = browser(server).fetch(PATH).set_cookies()
    assert "Domain" not in cookies[0]
    assert "token=foreign; Domain=co.uk; Path=/" in cookies
    assert len(cookies) == 7


def test_when_faults_strike(library_server: ServerFactory, browser: Browse) -> None:
    faults = {
        "every": Fault("status", every=3),
        "times": Fault("status", times=2),
        "first": Fault("status", first=4, every=2),
        "path": Fault("status", path="size=2"),
        "each": Fault("status", first=1, each_path=True),
        "never": Fault("status", probability=0.0),
    }
    server = library_server(lease_mode="static")
    someone = browser(server)
    struck = {}
    for name, fault in faults.items():
        server.change(faults=[fault])
        paths = [f"/files/{number % 2}?size={number}" for number in range(6)]
        struck[name] = [someone.fetch(path).status != 200 for path in paths]
    assert struck == {
        "every": [False, False, True, False, False, True],
        "times": [True, True, False, False, False, False],
        "first": [False, True, False, True, False, False],
        "path": [False, False, True, False, False, False],
        "each": [True, True, False, False, False, False],
        "never": [False] * 6,
    }


def test_probability_is_repeatable(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="static")
    someone = browser(server)
    runs = []
    for seed in (1, 1, 2):
        server.change(faults=[Fault("status", probability=0.5)], seed=seed)
        runs.append([someone.fetch(PATH).status for _ in range(20)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 503}


def test_the_login_page_has_faults_only_when_named(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server(faults=[Fault("status", path="/login", times=1), Fault("status", status=500)])
    someone = stranger(server)
    assert [someone.fetch("/login").status for _ in range(2)] == [503, 200]


def test_a_lost_answer_commits_nothing_where_the_body_commits(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(commit="body", faults=[Fault("lost", times=1), Fault("cut", times=1)])
    someone = browser(server)
    assert someone.raw(PATH) == b""
    someone.raw(PATH)
    assert server.stats().rotations == 0
    assert someone.keep(PATH).status == 200


def test_a_hanging_request_keeps_nobody_waiting(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="static", faults=[Fault("hang", times=1)])
    someone = browser(server)
    thread = threading.Thread(target=someone.raw, args=(PATH,))
    thread.start()
    while not server.stats().faults:
        pass
    assert someone.fetch(PATH).body == BODY
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_a_header_has_another_value(library_server: ServerFactory, stranger: Browse) -> None:
    headers = [("ETag", ""), ("X-Shelf", "7")]
    faults = [Fault("header", header="Content-Range", value="bytes */5", only=206)]
    someone = stranger(library_server(lease_mode="open", headers=headers, faults=faults))
    whole = someone.fetch(PATH)
    assert (whole.status, whole.body, whole.headers.get("ETag"), whole.headers["X-Shelf"]) == (
        200,
        BODY,
        None,
        "7",
    )
    assert "Content-Range" not in whole.headers
    part = someone.fetch(PATH, headers={"Range": "bytes=10-"})
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, BODY[10:], "bytes */5")
    assert part.headers["Content-Length"] == "990"
