"""The torture table: redirects that lead from https to http."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import argosy
from argosy.cookies.jar import Jar
from argosy.errors import LoginFailed
from argosy.http.adapter import LeasedAdapter
from argosy.http.session import AuthorizedSession, Network
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy.toolkit.responses import Downgraded
from argosy_plugins.cookie_stores.memory import MemoryStore
from argosy_plugins.refusals import RefusalRules
from hazards import OK, Authority, failures
from voyage import run_urls

Serve = Callable[[Callable[[bytes], bytes]], str]


def sends_to(url: str, *headers: str, status: str = "302 Found") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Location: {url}",
        *headers,
        "Content-Length: 0",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server that speaks TLS; ``ca.pem`` says whom to trust."""
    authority = Authority(tmp_path)
    with contextlib.ExitStack() as listeners:

        def start(answer: Callable[[bytes], bytes]) -> str:
            listener, url = authority.serve(authority.ca.issue_cert("127.0.0.1"), answer)
            listeners.enter_context(listener)
            return url

        yield start


@pytest.fixture
def plain(raw_server: Any) -> Any:
    """A server without TLS that would like to replace the token."""

    def answer(server: Any, connection: Any) -> None:
        while server.request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: token=evil; Path=/\r\n\r\nelse")

    return raw_server(answer)


@pytest.mark.torture(79)
def test_a_redirect_from_https_to_http_fails_the_item(tmp_path: Path, serve: Serve, plain: Any) -> None:
    url = serve(lambda head: sends_to(f"{plain.url}/y"))
    voyage = run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem", retry_delay=0.01)
    report = argosy.download(voyage.file)
    assert failures(report) == {report.failures[0].id: "downgrade"}
    assert '"allow_downgrade"' in report.failures[0].message
    assert plain.requests == [], "something was sent without encryption"
    assert not list(voyage.library.glob("x*"))


@pytest.mark.torture(79)
def test_a_redirect_from_https_to_http_is_followed_where_that_is_allowed(
    tmp_path: Path, serve: Serve, plain: Any
) -> None:
    url = serve(lambda head: sends_to(f"{plain.url}/y"))
    voyage = run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem", allow_downgrade=True)
    assert argosy.download(voyage.file).counts.done == 1
    assert len(plain.requests) == 1


SOURCE = """
import argosy

class Late(argosy.Source):
    name = "late"
    summary = "Looks its items up"

    def items(self, http):
        yield argosy.Item("a", "A")

    def expand(self, item, session):
        session.get("{url}/list")

@argosy.hookimpl
def argosy_source():
    return Late
"""


@pytest.mark.torture(79)
def test_a_request_of_a_plugin_is_not_redirected_to_http(tmp_path: Path, serve: Serve, plain: Any) -> None:
    url = serve(lambda head: sends_to(f"{plain.url}/list"))
    (tmp_path / "late.py").write_text(SOURCE.format(url=url), "utf-8")
    voyage = run_urls(tmp_path, ca_bundle="ca.pem")
    voyage.config["source"] = "late"
    report = argosy.download(voyage.file, plugins=[tmp_path / "late.py"])
    assert failures(report) == {"a": "downgrade"}
    assert plain.requests == []


def session(tmp_path: Path, tokens: list[str], *, allowed: bool) -> AuthorizedSession:
    """Return a session whose imported token fits any scheme and port, and which can log in once more."""
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))

    def token() -> Jar:
        return (Cookie("token", tokens.pop(0), "127.0.0.1"),)

    store.write(SessionRecord("default", 1, token(), logins=1), 0)
    return AuthorizedSession(
        LeasedAdapter(SessionManager(store, "default", login=token)),
        RefusalRules().is_refusal,
        network=Network(tmp_path / "ca.pem", {}, allowed),
    )


@pytest.mark.torture(79)
def test_credentials_never_follow_to_http(tmp_path: Path, serve: Serve, plain: Any) -> None:
    """Not even a cookie whose origin nobody knows; and what http answers does not replace it."""
    again = serve(lambda head: OK)
    hops = iter([f"{plain.url}/y", f"{again}/z"])
    url = serve(lambda head: sends_to(next(hops)))
    with session(tmp_path, ["first"], allowed=True) as http:
        http.headers["X-Api-Key"] = "s3cret"
        assert http.get(f"{url}/x").text == "else"
        record = http.manager.store.read("default")
    assert record is not None
    assert [cookie.value for cookie in record.cookies] == ["first"]
    assert len(plain.requests) == 1
    assert b"first" not in plain.requests[0]
    assert b"s3cret" not in plain.requests[0]


@pytest.mark.torture(79)
def test_a_redirect_to_a_login_page_without_tls_is_a_refusal(tmp_path: Path, serve: Serve, plain: Any) -> None:
    """Services behind a proxy that speaks TLS for them often name their login page by http."""
    url = serve(lambda head: OK if b"second" in head else sends_to(f"{plain.url}/login?next=/x"))
    with session(tmp_path, ["first", "second"], allowed=False) as http:
        assert http.get(f"{url}/x").text == "ok"
        assert (http.manager.logins, http.manager.refusals) == (1, 1)
    assert plain.requests == []


@pytest.mark.torture(79)
def test_a_redirect_of_a_session_is_not_followed(tmp_path: Path, serve: Serve, plain: Any) -> None:
    url = serve(lambda head: sends_to(f"{plain.url}/y"))
    with session(tmp_path, ["first"], allowed=False) as http:
        with pytest.raises(Downgraded):
            http.get(f"{url}/x")
        assert http.get(f"{url}/x", allow_redirects=False).status_code == 302
        with pytest.raises(requests.RequestException):
            http.post(f"{url}/x", data={"a": "b"})
    assert plain.requests == []


@pytest.mark.torture(79)
@pytest.mark.parametrize("at", ["GET", "POST"])
def test_a_login_is_not_redirected_to_http(tmp_path: Path, serve: Serve, plain: Any, at: str) -> None:
    page = b'<form method="post"><input name="user"><input type="password" name="password"></form>'
    form = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"

    def answer(head: bytes) -> bytes:
        if head.startswith(at.encode()):
            return sends_to(f"{plain.url}/home", "Set-Cookie: token=a; Path=/", status="303 See Other")
        return form % (len(page), page)

    url = serve(answer)
    voyage = run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem")
    (tmp_path / "password.txt").write_text("s3cret", "utf-8")
    voyage.config["auth"] = {
        "use": "form-login",
        "url": f"{url}/login",
        "fields": {"user": "ada", "password": {"file": "password.txt"}},
    }
    with pytest.raises(LoginFailed, match="not encrypted"):
        argosy.download(voyage.file)
    assert plain.requests == []
