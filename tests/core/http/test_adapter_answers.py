"""The adapter against servers with odd responses or none, and the session's record afterwards."""

from __future__ import annotations

import gzip
import shutil
import socket
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.auth import AuthBase

import argosy
from argosy.errors import Interrupted, PluginError, SessionInDoubt, StoreError, TransferError
from argosy.http.adapter import LeasedAdapter
from argosy.http.hop import PluginSigner
from argosy.http.session import AuthorizedSession
from argosy.leasing.lease import Lease
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy, SessionCallbacks
from argosy.models.session import Carrier, SessionRecord, Status
from argosy_devkit.contracts.waiting import Thread, wait_until

NEW = "Set-Cookie: token=second; Path=/"


def _answer(*headers: str, **options: Any) -> bytes:
    lines = [f"HTTP/1.1 {options.get('status', '200 OK')}", *headers]
    body: bytes = options.get("body", b"fine")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def _pieces(*iter_body: bytes, pause: float = 0.0) -> Any:
    def script(connection: socket.socket, number: int) -> None:
        for piece in iter_body:
            connection.sendall(piece)
            time.sleep(pause)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def test_a_token_is_sent_and_its_successor_stored(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_answer(NEW)), reader()
    assert one.get(server.url).content == b"fine"
    assert (one.tokens(), one.record.status, one.is_free()) == ({"token": "second"}, Status.IDLE, True)
    one.get(server.url)
    assert server.cookies() == ["token=first", "token=second"]


def test_a_plain_session_gets_what_requests_gives(raw_server: Any, tmp_path: Path) -> None:
    """The raw body is a file that may be decoded, and cookies are in the session."""
    packed = gzip.compress(b"fine " * 1000)
    server = raw_server(_answer(NEW, "Content-Encoding: gzip", "Content-Type: text/x; charset=latin1", body=packed))
    with requests.Session() as http:
        http.mount("http://", LeasedAdapter(argosy.open_store("memory"), lease="shared"))
        response = http.get(server.url, stream=True)
        response.raw.decode_content = True
        with (tmp_path / "copy").open("wb") as file:
            shutil.copyfileobj(response.raw, file)
        assert (tmp_path / "copy").read_bytes() == b"fine " * 1000
        assert (response.encoding, response.raw.version, response.raw.status) == ("iso8859-1", 11, 200)
        assert (http.cookies["token"], response.cookies["token"]) == ("second", "second")
        response = http.get(server.url, stream=True)
        assert response.raw.read(10) + response.raw.read() == packed
        assert b"".join(http.get(server.url, stream=True).iter_content(77)) == b"fine " * 1000


def test_bodies_of_every_kind_are_sent(tmp_path: Path) -> None:
    whole = b"abc" * 50_000 + b"end"
    (tmp_path / "file").write_bytes(whole)
    chunked = b"7\r\nabcabca\r\n3\r\nend\r\n0\r\n\r\n"
    with (tmp_path / "file").open("rb") as file, requests.Session() as http:
        http.mount("http://", LeasedAdapter(argosy.open_store("memory"), lease="shared"))
        for data, sent in ((file, whole), (iter([b"abcabca", b"", b"end"]), chunked), ({"a": "end"}, b"a=end")):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                server = Thread(partial(_receive, listener, sent[-5:]))
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
                assert http.post(url, data=data).text == "fine"
                assert server.result().partition(b"\r\n\r\n")[2] == sent


def _receive(listener: socket.socket, end: bytes) -> bytes:
    """Answer a request that ends with some bytes, and return it."""
    received = b""
    connection, _ = listener.accept()
    with connection:
        while not received.endswith(end):
            received += connection.recv(65536)
        connection.sendall(_answer("Connection: close"))
    return received


@pytest.mark.parametrize(
    "bytes_sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nSet-Coo", id="half of the headers"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n" + NEW.encode() + b"\r\n\r\n", id="long"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 120 + NEW.encode() + b"\r\n\r\n", id="many"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n", id="hints only"),
    ],
)
def test_an_answer_that_is_none_leaves_the_mark(raw_server: Any, reader: Any, bytes_sent: bytes) -> None:
    server, one = raw_server(_pieces(bytes_sent)), reader()
    with pytest.raises(requests.RequestException) as error:
        one.get(server.url)
    assert error.value.argosy_hop.is_sent  # type: ignore[attr-defined]  # the adapter's note
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)
    with pytest.raises(SessionInDoubt):
        one.get(server.url)
    assert len(server.heads) == 1, "a token that may be spent was sent again"


def test_a_refused_connection_clears_the_mark(reader: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    one = reader()
    with pytest.raises(requests.ConnectionError) as error:
        one.get(url)
    assert not error.value.argosy_hop.is_sent  # type: ignore[attr-defined]  # the adapter's note
    assert (one.record.status, one.is_free(), one.tokens()) == (Status.IDLE, True, {"token": "first"})


def test_without_headers_the_deadline_cuts_and_the_mark_stays(raw_server: Any, reader: Any) -> None:
    one = reader(deadline=0.3)
    server = raw_server(lambda connection, number: connection.recv(1))
    with pytest.raises(requests.RequestException) as error:
        one.get(server.url, timeout=(10, 60))
    assert error.value.argosy_hop.expired  # type: ignore[attr-defined]  # the adapter's note
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)


def test_headers_that_drip_do_not_outlive_the_deadline(raw_server: Any, reader: Any) -> None:
    """Each byte comes in time for a read timeout; the deadline is for all of them."""
    one = reader(deadline=0.3)
    server = raw_server(_pieces(*[bytes([byte]) for byte in _answer(NEW)] * 50, pause=0.02))
    with pytest.raises(requests.RequestException) as error:
        one.get(server.url, timeout=(10, 60))
    assert error.value.argosy_hop.expired  # type: ignore[attr-defined]  # the adapter's note
    assert one.record.status is Status.IN_FLIGHT


def test_a_slow_body_is_not_under_the_deadline(raw_server: Any, reader: Any) -> None:
    one = reader(deadline=2.0)
    head = _answer(NEW, body=b"12345")[:-5]
    server = raw_server(_pieces(head, *[b"%d" % n for n in range(5)], pause=0.6))
    response = one.get(server.url, stream=True, timeout=60)
    assert (one.record.status, one.is_free()) == (Status.IDLE, True)
    assert response.content == b"01234"


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: token=never; Path=/\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_interim_answers_are_not_the_answer(raw_server: Any, reader: Any, before: bytes) -> None:
    server, one = raw_server(before + _answer(NEW)), reader()
    response = one.get(server.url)
    assert (response.status_code, response.content, one.tokens()) == (200, b"fine", {"token": "second"})


@pytest.mark.parametrize(
    "broken",
    [
        "this line is no header",
        "Bad Name: 1",
        ": no name",
        "X-B\xe4d: \x00",
        " folded, of nothing",
        "X: a\rb",
    ],
)
def test_a_broken_line_does_not_hide_the_token(raw_server: Any, reader: Any, broken: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{broken}\r\n{NEW}\r\nContent-Length: 4\r\nset-cookie :other=1\r\n\r\nfine"
    server, one = raw_server(head.encode("latin-1")), reader()
    assert one.get(server.url).content == b"fine"
    assert (one.tokens(), one.record.status) == ({"token": "second", "other": "1"}, Status.IDLE)


def test_a_folded_line_does_not_hide_the_token(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_answer("Set-Cookie: token=second;\r\n Path=/")), reader()
    one.get(server.url)
    assert one.tokens() == {"token": "second"}


def test_a_connection_that_died_while_idle_is_made_anew(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_pieces(_answer(NEW))), reader()
    one.get(server.url)
    (kept,) = one.adapter._transport._all_idle
    wait_until(kept.is_closed, "the server's close to arrive")
    one.get(server.url)
    assert server.cookies() == ["token=first", "token=second"]
    assert one.record.status is Status.IDLE


def test_an_old_connection_is_not_used(raw_server: Any, reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []

    def script(connection: socket.socket, number: int) -> None:
        numbers.append(number)
        connection.sendall(_answer(NEW))

    server, one = raw_server(script), reader()
    one.get(server.url)
    one.get(server.url)
    monkeypatch.setattr("argosy_plugins.transports.requests.MAX_IDLE", -1.0)
    one.get(server.url)
    assert numbers == [0, 1, 0]


def test_a_connection_that_is_closed_on_the_request_leaves_the_mark(raw_server: Any, reader: Any) -> None:
    """The server took the request from a kept connection and closed it: its effect is unknown."""

    def script(connection: socket.socket, number: int) -> None:
        if number:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(_answer(NEW))

    server, one = raw_server(script), reader()
    one.get(server.url)
    with pytest.raises(requests.ConnectionError):
        one.get(server.url)
    assert one.record.status is Status.IN_FLIGHT
    assert server.cookies() == ["token=first", "token=second"]


def test_cookies_never_go_to_another_host(raw_server: Any, reader: Any) -> None:
    other = raw_server(_answer("Set-Cookie: token=theirs; Path=/"))
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    server = raw_server(_answer(NEW, f"Location: {elsewhere}/x", status="302 Found"))
    one = reader()
    one.get(server.url, cookies={"mine": "1"}, headers={"Cookie": "mine=2"})
    assert server.cookies() == ["token=first"], "only the session's cookies are sent"
    assert other.cookies() == [""]
    assert [(c.value, c.domain) for c in one.record.cookies] == [
        ("second", "127.0.0.1"),
        ("theirs", "localhost"),
    ]


@pytest.mark.parametrize("complete", [True, False])
def test_to_end_holds_to_the_last_byte(raw_server: Any, reader: Any, complete: bool) -> None:
    server, one = raw_server(_answer(NEW, body=b"x" * 100)), reader(lease="exclusive-to-end")
    response = one.get(server.url, stream=True)
    iter_body = response.iter_content(10)
    next(iter_body)
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, False)
    if complete:
        assert len(b"".join(iter_body)) == 90
    else:
        response.close()
    assert one.record.status is (Status.IDLE if complete else Status.IN_FLIGHT)
    assert one.is_free()
    assert one.tokens() == {"token": "second"}


def test_to_end_a_body_that_breaks_or_is_forgotten_leaves_the_mark(raw_server: Any, reader: Any) -> None:
    server = raw_server(_pieces(_answer(NEW, body=b"x" * 100)[:-50]))
    one = reader(lease="exclusive-to-end")
    with pytest.raises(requests.RequestException):
        one.get(server.url)
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)


def test_to_end_all_bytes_are_the_whole_body(raw_server: Any, reader: Any) -> None:
    """It need not be read until there is no more: the length says when it is whole."""
    server, one = raw_server(_answer(NEW, body=b"x" * 100)), reader(lease="exclusive-to-end")
    response = one.get(server.url, stream=True, timeout=urllib3.Timeout(connect=10, read=20))
    assert response.raw.read(99) == b"x" * 99
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, False)
    assert response.raw.read(1) == b"x"
    assert (one.record.status, one.is_free()) == (Status.IDLE, True)
    response.close()


def test_to_end_a_body_that_is_dropped_frees_the_session(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_answer(NEW, body=b"x" * 100)), reader(lease="exclusive-to-end")
    response = one.get(server.url, stream=True)
    del response
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)


def test_to_end_a_body_whose_token_cannot_be_read_leaves_the_mark(raw_server: Any, reader: Any) -> None:
    """The token that was sent may be replaced, so it must not be sent again."""
    fields = (NEW, "Content-Type: application/json", "Content-Encoding: gzip")
    server = raw_server(_answer(*fields, body=b"not gzip"))
    carrier = Carrier("token", origins=(server.url,), find=lambda answer: answer["token"])
    one = reader(lease="exclusive-to-end", carriers=[carrier])
    with pytest.raises(TransferError):
        one.get(server.url)
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_to_end_without_a_body_is_over_at_once(raw_server: Any, reader: Any, method: str) -> None:
    body = b"" if method == "GET" else b"unsent"
    script = _answer(NEW, body=body) if method == "GET" else _answer(NEW, body=body)[: -len(body)]
    server, one = raw_server(script), reader(lease="exclusive-to-end")
    one.http.request(method, server.url, stream=True).close()
    assert (one.record.status, one.is_free()) == (Status.IDLE, True)


def test_where_the_mark_cannot_be_written_nothing_is_sent(
    raw_server: Any, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, one = raw_server(_answer(NEW)), reader()

    def fail(record: SessionRecord, expected: int) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(one.store, "write", fail)
    with pytest.raises(StoreError):
        one.get(server.url)
    assert server.heads == []
    assert one.is_free()


def test_where_the_new_token_cannot_be_stored_the_mark_stays(
    raw_server: Any, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, one = raw_server(_answer(NEW)), reader()
    write = one.store.write

    def fail(record: SessionRecord, expected: int) -> None:
        if record.status is Status.IDLE:
            raise StoreError("no space left")
        write(record, expected)

    monkeypatch.setattr(one.store, "write", fail)
    with pytest.raises(StoreError):
        one.get(server.url)
    assert (one.record.status, one.is_free()) == (Status.IN_FLIGHT, True)


def _wait_for_the_session(one: Any, url: str) -> tuple[Thread, Any]:
    """Start a request while the session is held; when it waits, return it and the function that frees the session."""
    waits = threading.Event()
    watch = replace(one.adapter.manager._callbacks, waiting=lambda what: waits.set())
    one.adapter.manager._callbacks = watch
    release = one.store.acquire("default")
    request = Thread(lambda: one.get(url))
    assert waits.wait(20)
    return request, release


def test_the_connection_is_made_before_the_session_is_taken(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_answer(NEW)), reader()
    request, release = _wait_for_the_session(one, server.url)
    wait_until(lambda: server._open, "the connection")
    assert one.record.generation == 1, "nothing is marked yet"
    release()
    assert request.result().content == b"fine"


def test_a_connection_that_was_closed_while_it_waited_for_the_session_costs_nothing(
    raw_server: Any, reader: Any
) -> None:
    server, one = raw_server(_answer(NEW)), reader()
    one.get(server.url)
    request, release = _wait_for_the_session(one, server.url)
    (connection,) = server._open
    connection.shutdown(socket.SHUT_RDWR)
    release()
    assert request.result().content == b"fine"
    assert (one.record.status, len(server._open)) == (Status.IDLE, 2)


@pytest.mark.parametrize("lease_mode", ["exclusive", "shared"])
def test_a_stop_in_the_last_moment_sends_nothing_and_leaves_the_token_good(
    raw_server: Any, reader: Any, monkeypatch: pytest.MonkeyPatch, lease_mode: str
) -> None:
    """The run is stopped after the lease was granted (an exclusive one is marked by then)."""
    server, one = raw_server(_answer(NEW)), reader()
    granted: list[Lease] = []

    def check() -> None:
        if granted:
            raise Interrupted("stopped")

    manager = SessionManager(
        one.store,
        "default",
        Policy(lease_mode=LeaseMode(lease_mode)),
        callbacks=SessionCallbacks(check=check),
    )
    lend = manager.lease

    def lease(*given: Any) -> Lease:
        granted.append(lend(*given))
        return granted[0]

    monkeypatch.setattr(manager, "lease", lease)
    one.http.mount("http://", LeasedAdapter(manager))
    with pytest.raises(Interrupted):
        one.get(server.url)
    assert len(granted) == 1
    assert (server.heads, one.record.status, one.is_free()) == ([], Status.IDLE, True)
    assert one.tokens() == {"token": "first"}


def test_a_signer_that_hangs_loses_the_session_at_the_deadline(raw_server: Any, reader: Any) -> None:
    server, one = raw_server(_answer(NEW)), reader(deadline=0.3)
    released = threading.Event()

    class Hangs(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            released.wait(20)
            return request

    http = AuthorizedSession(
        one.adapter,
        lambda head: False,
        timeout=(5.0, 5.0),
        signer=PluginSigner(Hangs(), "hangs"),
    )
    request = Thread(lambda: http.get(server.url))
    wait_until(lambda: one.record.generation == 2, "the lease")
    wait_until(one.is_free, "the deadline")
    assert (one.record.status, one.tokens()) == (Status.IDLE, {"token": "first"})
    released.set()
    with pytest.raises(PluginError, match="did not return within"):
        request.result()
    assert server.heads == []
    http.close()
