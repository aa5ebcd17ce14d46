"""The torture table, section hostile answers: what would cost memory or time without a bound."""

from __future__ import annotations

import gzip
import itertools
import signal
import socket
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import ArgosyError
from argosy_devkit.contracts.waiting import wait_until
from argosy_plugins.auth._command import Command, CommandFailed
from hazards import failures
from voyage import Voyage, run_urls

Answer = Callable[[Any, socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
#: An empty member: 20 bytes of the wire that contain nothing.
NOTHING = gzip.compress(b"")
MOST_MEMORY = 24 << 20


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """64 MB as 64 kB: gzip of gzip would be smaller still, but a client decodes once."""
    return gzip.compress(bytes(64 << 20))


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def compressed(status: str, body: bytes, *lines: str) -> bytes:
    return head(status, "Content-Encoding: gzip", f"Content-Length: {len(body)}", *lines) + body


def by_path(**answers: bytes) -> Answer:
    """Answer by the last part of the path; ``fine`` to what is not named."""

    def answer(server: Any, connection: socket.socket) -> None:
        while asked := server.request(connection):
            name = asked.split(b" ")[1].rpartition(b"/")[2].partition(b"?")[0].decode()
            connection.sendall(answers.get(name, OK))

    return answer


def dripping(first: bytes, rest: bytes) -> Answer:
    """Send the first bytes at once, and the others again and again, byte by byte, for ever."""

    def answer(server: Any, connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(first)
        connection.settimeout(0.05)
        for byte in itertools.cycle(rest):
            connection.sendall(bytes([byte]))
            try:
                if not connection.recv(1):
                    return  # the client has had enough
            except TimeoutError:
                pass

    return answer


def form_login(url: str) -> dict[str, Any]:
    return {"use": "form-login", "url": f"{url}/login", "fields": {"user": "ada"}}


def peak_of(voyage: Voyage) -> tuple[dict[str, str], int]:
    """Run it; return why items failed, and how much memory it took at most."""
    tracemalloc.start()
    try:
        report = argosy.download(voyage.file)
        return failures(report), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.torture(95)
def test_the_body_of_a_redirect_is_not_read(raw_server: Any, tmp_path: Path, bomb: bytes) -> None:
    server = raw_server(by_path(away=compressed("302 Found", bomb, "Location: /there")))
    found, peak = peak_of(run_urls(tmp_path, f"{server.url}/away", max_retries=0))
    assert (found, (tmp_path / "library" / "away").read_bytes()) == ({}, b"fine")
    assert peak < MOST_MEMORY


@pytest.mark.torture(95)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_a_login_page_that_is_a_bomb(raw_server: Any, tmp_path: Path, bomb: bytes, status: str) -> None:
    server = raw_server(by_path(login=compressed(status, bomb, "Content-Type: text/html")))
    voyage = run_urls(tmp_path, f"{server.url}/a", auth=form_login(server.url), max_retries=0)
    tracemalloc.start()
    with pytest.raises(ArgosyError) as error:
        argosy.download(voyage.file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.value.exit_code, "plugin" in str(error.value)) == (3, False)
    assert peak < MOST_MEMORY


@pytest.mark.torture(95)
def test_a_digest_challenge_that_is_a_bomb(
    raw_server: Any, tmp_path: Path, bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "open-sesame-1")
    challenge = compressed("401 Unauthorized", bomb, 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"')

    def answer(server: Any, connection: socket.socket) -> None:
        while asked := server.request(connection):
            connection.sendall(OK if b"\r\nAuthorization: Digest" in asked else challenge)

    server = raw_server(answer)
    auth = {"use": "digest", "origins": [server.url], "user": "ada", "password": {"env": "PASSWORD"}}
    found, peak = peak_of(run_urls(tmp_path, f"{server.url}/a", auth=auth, max_retries=0))
    assert found == {}
    assert peak < MOST_MEMORY


@pytest.mark.torture(96)
def test_a_compressed_body_that_brings_nothing_ends(raw_server: Any, tmp_path: Path) -> None:
    def answer(server: Any, connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(head("200 OK", "Content-Encoding: gzip"))
        while True:
            connection.sendall(NOTHING * 1000)

    server = raw_server(answer)
    voyage = run_urls(tmp_path, f"{server.url}/a", max_retries=0, max_size=1000)
    assert failures(argosy.download(voyage.file)) == {f"{server.url}/a": "coding"}


@pytest.mark.torture(96)
def test_a_compressed_body_that_brings_nothing_can_be_stopped(raw_server: Any, tmp_path: Path) -> None:
    """One that is slow enough to stay below the bound for minutes."""
    sent: list[int] = []

    def answer(server: Any, connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(head("200 OK", "Content-Encoding: gzip"))
        connection.settimeout(0.05)
        while True:
            connection.sendall(NOTHING * 50)
            sent.append(1)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass

    server = raw_server(answer)
    process = run_urls(tmp_path, f"{server.url}/a", max_retries=0).start("--quiet")
    wait_until(lambda: len(sent) > 20, "the body is being read")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


DRIPS = {
    "an error": head("404 Not Found", "Content-Length: 60000"),
    "a redirect": head("302 Found", "Location: /there", "Content-Length: 60000"),
    "a page": head("200 OK", "Content-Type: text/html", "Content-Length: 60000"),
    "trailers": head("200 OK", "Transfer-Encoding: chunked") + b"4\r\nfine\r\n0\r\n",
    "chunk extensions": head("200 OK", "Transfer-Encoding: chunked") + b"4;x=",
}


@pytest.mark.slow
@pytest.mark.torture(97)
@pytest.mark.parametrize("kind", DRIPS)
@pytest.mark.parametrize("limit", ["total", "low_speed_limit"])
def test_a_body_that_drips_ends_in_time(
    raw_server: Any, tmp_path: Path, kind: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that nobody wants is given up at once or a little later; the others by the limits of a body."""
    monkeypatch.setattr("argosy.http.body.UNWANTED_SECONDS", 0.5)
    server = raw_server(dripping(DRIPS[kind], b"X: drip\r\n"))
    limits: dict[str, Any] = {"timeout": {"total": 0.5}, "low_speed_limit": 0}
    if limit == "low_speed_limit":
        limits = {"timeout": {"read": 0.5}, "low_speed_limit": 1000}
    report = argosy.download(run_urls(tmp_path, f"{server.url}/a", max_retries=0, **limits).file)
    (cause,) = failures(report).values() or [""]
    causes = {"an error": {"status"}, "a redirect": {"redirects"}, "trailers": {"stalled", "total", "slow"}}
    assert cause in causes.get(kind, {"total", "slow"})


@pytest.mark.torture(97)
@pytest.mark.parametrize("page", [b"<p>", b"X: drip\r\n"])
def test_a_login_page_that_drips_ends_in_time(raw_server: Any, tmp_path: Path, page: bytes) -> None:
    first = head("200 OK", "Content-Type: text/html", "Content-Length: 60000")
    server = raw_server(dripping(first if page == b"<p>" else b"HTTP/1.1 200 OK\r\n", page))
    voyage = run_urls(tmp_path, f"{server.url}/a", auth=form_login(server.url), timeout={"headers": 0.5}, max_retries=0)
    with pytest.raises(ArgosyError) as error:
        argosy.download(voyage.file)
    assert "plugin" not in str(error.value)


@pytest.mark.torture(97)
@pytest.mark.parametrize("first", [b"HTTP/1.1 200 Fine\r\n", b"", b"HTTP/1.1 407 No\r\n"])
def test_a_proxy_whose_answer_drips_is_given_up(raw_server: Any, tmp_path: Path, first: bytes) -> None:
    server = raw_server(dripping(first, b"X: drip\r\n" if first else b"HTTP/1.1 "))
    voyage = run_urls(tmp_path, "https://library.example/a", proxy=server.url, timeout={"connect": 0.5}, max_retries=0)
    (cause,) = failures(argosy.download(voyage.file)).values()
    assert cause in ("timeout", "connect", "lost")


@pytest.mark.torture(98)
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 15_000, id="hints"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 15_000, id="continue"),
        pytest.param(b"HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n" * 10_000, id="processing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"x" * 60_000 + b"\r\n") * 50, id="large"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"no header\r\n" * 30_000, id="none"),
    ],
)
def test_a_head_without_an_end_is_a_lost_answer(raw_server: Any, tmp_path: Path, before: bytes) -> None:
    server = raw_server(by_path(a=before + OK))
    report = argosy.download(run_urls(tmp_path, f"{server.url}/a", f"{server.url}/b", max_retries=0).file)
    assert (failures(report), report.counts.done) == ({f"{server.url}/a": "lost"}, 1)


@pytest.mark.torture(98)
def test_some_interim_answers_are_none_too_many(raw_server: Any, tmp_path: Path) -> None:
    server = raw_server(by_path(a=b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 100 + OK))
    assert failures(argosy.download(run_urls(tmp_path, f"{server.url}/a", max_retries=0).file)) == {}


@pytest.mark.torture(98)
def test_trailers_without_an_end_are_given_up(raw_server: Any, tmp_path: Path) -> None:
    def answer(server: Any, connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked") + b"4\r\nfine\r\n0\r\n")
        while True:
            connection.sendall(b"X: 1\r\n" * 1000)

    server = raw_server(answer)
    report = argosy.download(run_urls(tmp_path, f"{server.url}/a", max_retries=0).file)
    assert list(failures(report).values()) == ["cut"]


@pytest.mark.torture(99)
@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_a_command_for_a_token_that_prints_without_end(raw_server: Any, tmp_path: Path, where: str) -> None:
    """Nor does what it has started outlive the run."""
    script = tmp_path / "token.sh"
    redirect = "" if where == "stdout" else ">&2"
    script.write_text(f"#!/bin/sh\nsleep 1000 & echo $! > {tmp_path / 'child'}\nyes {redirect}\n", "utf-8")
    server = raw_server(by_path())
    auth = {"use": "bearer", "origins": [server.url], "command": ["sh", str(script)]}
    with pytest.raises(ArgosyError, match="printed more than") as error:
        argosy.download(run_urls(tmp_path, f"{server.url}/a", auth=auth, max_retries=0).file)
    assert error.value.exit_code == 3
    child = int((tmp_path / "child").read_text("utf-8"))
    wait_until(lambda: is_gone(child), "what the command has started is gone")


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.torture(99)
def test_a_command_that_hangs_ends_with_its_plugin(tmp_path: Path) -> None:
    command = Command(["sh", "-c", f"sleep 1000 & echo $! > {tmp_path / 'child'}; wait"], 600)
    failed: list[str] = []

    def run() -> None:
        try:
            command.output()
        except CommandFailed as error:
            failed.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    child = tmp_path / "child"
    wait_until(lambda: child.exists() and bool(child.read_text("utf-8")), "the command runs")
    command.stop()
    thread.join(60)
    assert failed == ["ended with -9"]
    wait_until(lambda: is_gone(int(child.read_text("utf-8"))), "what the command has started is gone")


@pytest.mark.torture(99)
def test_a_command_that_is_stopped_while_it_starts() -> None:
    command = Command(["sleep", "1000"], 600)
    command.stop()
    with pytest.raises(CommandFailed, match="ended with -9"):
        command.output()


#: Places that a redirect can name and nobody can ask.
NO_PLACES = (
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    "http://h.example:99999/",
    "http://h.example:x/",
    "http://[::1/",
    "http://[fe80::1%25]:x/",
    "http://\xff\xfe/",
    "http://xn--a-\xe4.example/",
)


@pytest.mark.torture(101)
def test_a_redirect_to_no_place(raw_server: Any, tmp_path: Path) -> None:
    answers = {
        str(number): f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
        for number, place in enumerate(NO_PLACES)
    }
    server = raw_server(by_path(**answers))
    urls = [f"{server.url}/{number}" for number in answers]
    found = failures(argosy.download(run_urls(tmp_path, *urls, max_retries=0).file))
    assert found == dict.fromkeys(urls, "url")


@pytest.mark.torture(101)
@pytest.mark.parametrize("place", [*NO_PLACES[:3], "http://\xff/"])
def test_a_login_that_is_redirected_to_no_place(raw_server: Any, tmp_path: Path, place: str) -> None:
    page = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    server = raw_server(by_path(login=page))
    voyage = run_urls(tmp_path, f"{server.url}/a", auth=form_login(server.url), max_retries=0)
    with pytest.raises(ArgosyError) as error:
        argosy.download(voyage.file)
    assert (error.value.exit_code, "plugin" in str(error.value)) == (3, False)


@pytest.mark.torture(101)
@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "undefined", "rot13", "hex", "unicode_escape", "x\x00", "none"]
)
def test_a_page_in_a_character_set_that_is_none(raw_server: Any, tmp_path: Path, charset: str, transport: str) -> None:
    form = b"<form method=post action=/in><input name=user></form>"
    page = head("200 OK", f"Content-Type: text/html; charset={charset}", f"Content-Length: {len(form)}") + form
    server = raw_server(by_path(login=page))
    voyage = run_urls(tmp_path, f"{server.url}/a", auth=form_login(server.url), max_retries=0)
    if transport == "curl" and "\0" in charset:  # libcurl refuses such a response
        with pytest.raises(ArgosyError, match="NUL"):
            argosy.download(voyage.file)
        return
    assert failures(argosy.download(voyage.file)) == {}
    assert any(b"POST /in" in asked for asked in server.requests)


@pytest.mark.torture(101)
@pytest.mark.parametrize(
    "challenge",
    ['realm="r"', 'nonce="n"', "", 'realm="r", nonce="n", algorithm=X', 'realm="r", nonce="n", qop="x"'],
)
def test_a_digest_challenge_that_cannot_be_answered(
    raw_server: Any, tmp_path: Path, challenge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "open-sesame-1")
    refusal = head("401 Unauthorized", f"WWW-Authenticate: Digest {challenge}", "Content-Length: 0")
    server = raw_server(by_path(a=refusal))
    auth = {"use": "digest", "origins": [server.url], "user": "ada", "password": {"env": "PASSWORD"}}
    report = argosy.download(run_urls(tmp_path, f"{server.url}/a", auth=auth, max_retries=0).file)
    assert failures(report) == {f"{server.url}/a": "answer"}
