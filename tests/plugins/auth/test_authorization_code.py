"""The answer to a login in a browser: what is one, the listener that takes it, and what a person pastes."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.base import PluginContext
from argosy_plugins.auth import _authorization_code
from argosy_plugins.auth._authorization_code import (
    AuthorizationRequest,
    Listener,
    NotThisLogin,
    check_redirect_uri,
    finds_browser,
    get_code,
)
from argosy_plugins.auth.oauth2 import OAuth2Auth

STATE = "state-of-this-login"
ISSUER = "https://login.example"


def begin(redirect_uri: str) -> AuthorizationRequest:
    return AuthorizationRequest("https://login.example/authorize?state=x", redirect_uri, STATE, ISSUER)


def answer(**fields: str) -> str:
    return urlencode({"state": STATE, "code": "the-code", **fields})


# -- what is an answer


@pytest.mark.parametrize("fields", [{}, {"iss": ISSUER}, {"scope": "read", "session_state": "7"}])
def test_an_answer_gives_its_code(fields: dict[str, str]) -> None:
    assert begin("http://127.0.0.1:1/").code_of(answer(**fields)) == "the-code"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("code=the-code", "no state"),
        ("", "no state"),
        (answer(state="of-another-login"), "state is wrong"),
        (answer(state="\N{SNOWMAN}"), "state is wrong"),
        (answer(state=STATE + "x"), "state is wrong"),
        (f"state={STATE}", "no code"),
        (answer(code=""), "no code"),
        (answer(code="a b"), "no code"),
        (answer() + "&code=another", "twice"),
        (answer() + "&state=another", "twice"),
        (answer() + "&a=1" * 200, "cannot be read"),
    ],
)
def test_what_belongs_to_another_login_is_none(query: str, problem: str) -> None:
    with pytest.raises(NotThisLogin, match=problem):
        begin("http://127.0.0.1:1/").code_of(query)


@pytest.mark.parametrize("fields", [{}, {"error": "access_denied"}])
@pytest.mark.parametrize("issuer", [{"iss": "https://evil.example"}, {"iss": ISSUER + "/"}, {"iss": ""}, {}])
def test_an_answer_of_another_server_ends_the_login(fields: dict[str, str], issuer: dict[str, str]) -> None:
    """Without the field only where the server says that it always sends it (RFC 9207 section 2.4)."""
    request = AuthorizationRequest("", "", STATE, ISSUER, needs_issuer=True)
    with pytest.raises(LoginFailed, match="another authorization server"):
        request.code_of(answer(**fields, **issuer))


def test_a_server_that_is_not_known_by_its_name_may_have_any() -> None:
    assert AuthorizationRequest("", "", STATE).code_of(answer(iss="https://any.example")) == "the-code"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("access_denied", "refused in the browser"),
        ("invalid_scope", r"invalid_scope \(in the browser\)"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("\x1b[2J", "an unknown error"),
        ("x" * 5000, r"x{60} "),
    ],
)
def test_a_refusal_ends_the_login(error: str, message: str) -> None:
    with pytest.raises(LoginFailed, match=message) as found:
        begin("").code_of(answer(error=error, error_description="the secret of the server"))
    assert "secret" not in str(found.value)


# -- the redirect URI


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/callback",
        "http://localhost:8080",
        "http://[::1]/x?y=1",
        "https://service.example/oauth/code",
        "urn:ietf:wg:oauth:2.0:oob",
        "com.example.app:/callback",
    ],
)
def test_a_redirect_uri(uri: str) -> None:
    check_redirect_uri(uri)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://service.example/", "not on this machine"),
        ("http://10.0.0.1:8080/", "not on this machine"),
        ("http://127.0.0.1:0/", "port 0"),
        ("http://127.0.0.1:99999/", "invalid host or port"),
        ("http://127.0.0.1/#x", "fragment"),
        ("/callback", "not an absolute URI"),
        ("http://127.0.0.1/a b", "not an absolute URI"),
        ("http://127.0.0.1/\N{SNOWMAN}", "not an absolute URI"),
    ],
)
def test_a_redirect_uri_that_is_none(uri: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check_redirect_uri(uri)


def test_a_parameter_does_not_replace_a_field_of_the_login() -> None:
    options: dict[str, Any] = {
        "grant": "authorization_code",
        "client_id": "x",
        "client_auth": "header",
        "issuer": ISSUER,
    }
    options |= {"redirect_uri": "http://127.0.0.1/", "origins": ["https://api.example"]}
    OAuth2Auth({**options, "parameters": {"audience": "x"}}, PluginContext())
    with pytest.raises(ConfigError, match="has code_challenge, state, which argosy sets itself"):
        OAuth2Auth({**options, "parameters": {"state": "x", "code_challenge": "x"}}, PluginContext())


# -- the listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener("http://127.0.0.1/callback") as made:
        made.start(begin(made.redirect_uri))
        yield made


def visit(listener: Listener, query: str, path: str = "/callback") -> requests.Response:
    parts = urlsplit(listener.redirect_uri)
    return requests.get(f"http://{parts.netloc}{path}?{query}", timeout=30)


def port_of(listener: Listener) -> int:
    return urlsplit(listener.redirect_uri).port or 0


def test_the_browser_brings_the_answer(listener: Listener) -> None:
    page = visit(listener, answer())
    assert (page.status_code, "You can close this window" in page.text) == (200, True)
    assert page.headers["Cache-Control"] == "no-store"
    assert listener.wait(30) == "the-code"


def test_ctrl_c_ends_the_wait_also_if_another_thread_gets_the_signal() -> None:
    """Then nothing wakes the main thread, as when the signal comes just before it begins to wait."""
    code = (
        "import signal, threading, time\n"
        "from argosy_plugins.auth._authorization_code import Listener\n"
        "def interrupt():\n"
        "    time.sleep(0.3)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "with Listener('http://127.0.0.1/callback') as listener:\n"
        "    threading.Thread(target=interrupt).start()\n"
        "    listener.wait(600)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr.endswith("KeyboardInterrupt\n")


def test_only_the_first_answer_counts(listener: Listener) -> None:
    assert visit(listener, answer()).status_code == 200
    again = visit(listener, answer(code="another-code"))
    assert (again.status_code, "answered before" in again.text) == (400, True)
    assert listener.wait(30) == "the-code"


def test_nothing_listens_after_the_answer() -> None:
    with Listener("http://127.0.0.1/callback") as listener:
        listener.start(begin(listener.redirect_uri))
        visit(listener, answer())
        listener.wait(30)
    with pytest.raises(requests.ConnectionError):
        visit(listener, answer())


def test_a_refusal_is_shown_and_ends_the_wait(listener: Listener) -> None:
    page = visit(listener, urlencode({"state": STATE, "error": "access_denied"}))
    assert (page.status_code, "Not logged in" in page.text) == (200, True)
    with pytest.raises(LoginFailed, match="refused in the browser"):
        listener.wait(30)


def test_a_hostile_request_changes_nothing(listener: Listener) -> None:
    assert visit(listener, answer(state="guessed")).status_code == 400
    assert visit(listener, answer(), "/").status_code == 404
    assert visit(listener, answer(), "/callback/").status_code == 404
    assert visit(listener, answer(), f"/{listener.redirect_uri}").status_code == 404
    assert visit(listener, answer() + "&x=" + "x" * 70_000).status_code == 414
    netloc = urlsplit(listener.redirect_uri).netloc
    for headers in ({"X": "x" * 70_000}, {f"X-{n}": "x" for n in range(200)}):
        got = requests.get(f"http://{netloc}/callback", params=answer(), headers=headers, timeout=30)
        assert got.status_code == 431
    assert requests.post(listener.redirect_uri, params=answer(), timeout=30).status_code == 501
    with socket.create_connection(("127.0.0.1", port_of(listener))) as other:
        other.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert other.recv(100)
    assert visit(listener, answer()).status_code == 200
    assert listener.wait(30) == "the-code"


def test_a_page_repeats_nothing_of_its_request(listener: Listener) -> None:
    for page in (visit(listener, "state=<script>1"), visit(listener, "", "/<script>"), visit(listener, answer())):
        assert "script" not in page.text
        assert "the-code" not in page.text
        assert STATE not in page.text


def test_connections_that_send_nothing_hold_nobody_up(listener: Listener) -> None:
    """Browsers open some in advance."""
    idle = [socket.create_connection(("127.0.0.1", port_of(listener))) for _ in range(20)]
    try:
        assert visit(listener, answer()).status_code == 200
        assert listener.wait(30) == "the-code"
    finally:
        for connection in idle:
            connection.close()


def test_only_this_machine_reaches_it(listener: Listener) -> None:
    with pytest.raises(OSError, match="refused"):  # an address of this machine, but not that one
        socket.create_connection(("127.0.0.2", port_of(listener)))


def test_a_wait_ends_in_time_and_says_what_came(listener: Listener) -> None:
    with pytest.raises(LoginFailed, match=r"No answer came from the browser within 0\.0005 minutes\.") as found:
        listener.wait(0.03)
    assert "Another answer" not in str(found.value)
    assert "set browser to false" in str(found.value.hint)
    visit(listener, answer(state="guessed"))
    with pytest.raises(LoginFailed, match="Another answer was refused: its state is wrong"):
        listener.wait(0.03)


def test_a_port_in_use_is_named() -> None:
    with Listener("http://127.0.0.1/") as first:
        uri = first.redirect_uri
        with pytest.raises(LoginFailed, match=rf"The port {port_of(first)} of 127\.0\.0\.1, .*in use") as found:
            Listener(uri)
        assert "another argosy login" in str(found.value.hint)
    with Listener(uri) as again:
        assert again.redirect_uri == uri


def test_a_redirect_uri_may_have_no_path() -> None:
    with Listener("http://localhost") as listener:
        assert listener.redirect_uri == f"http://localhost:{port_of(listener)}"
        listener.start(begin(listener.redirect_uri))
        assert requests.get(listener.redirect_uri, params=answer(), timeout=30).status_code == 200
        assert listener.wait(30) == "the-code"


def test_a_name_and_a_fixed_port_stay_as_they_are() -> None:
    with Listener("http://127.0.0.1/") as free:
        port = port_of(free)
    with Listener(f"http://localhost:{port}/back?a=1") as listener:
        assert listener.redirect_uri == f"http://localhost:{port}/back?a=1"
        listener.start(begin(listener.redirect_uri))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", f"/back?a=1&{answer()}")
        assert connection.getresponse().status == 200
        connection.close()
        assert listener.wait(30) == "the-code"


# -- with and without a browser, with and without a terminal


def context(*given: str) -> tuple[PluginContext, list[str], list[str]]:
    """Return a context whose person pastes these, what it is told, and the secrets."""
    told: list[str] = []
    secrets: list[str] = []
    pasted = iter(given)

    def paste(text: str) -> str:
        return next(pasted)

    ask: Callable[[str], str] | None = paste if given else None
    return PluginContext(ask_now=ask, notice=told.append, on_secret=secrets.append, attended=True), told, secrets


@pytest.mark.parametrize(
    "given",
    [
        "the-code",
        "  the-code\n",
        f"http://127.0.0.1:1/callback?{answer()}",
        f"http://127.0.0.1:1/callback?{answer()}#_=_",
        f"com.example:/callback?{answer(iss=ISSUER)}",
        f"?{answer()}",
        answer(),
    ],
)
def test_an_answer_is_pasted(given: str) -> None:
    here, told, secrets = context(given)
    request, code = get_code(begin, "http://127.0.0.1/callback", False, here)
    assert code == "the-code"
    assert urlsplit(request.redirect_uri).port, "the port is needed, even if nothing listens there"
    assert request.url in told[0]
    assert "on any machine" in told[0]
    assert (STATE in secrets, "the-code" in secrets) == (True, True)


def test_a_redirect_uri_elsewhere_stays_as_it_is() -> None:
    here, _, _ = context("the-code")
    request, code = get_code(begin, "urn:ietf:wg:oauth:2.0:oob", False, here)
    assert (request.redirect_uri, code) == ("urn:ietf:wg:oauth:2.0:oob", "the-code")


def test_a_person_may_paste_something_else_first() -> None:
    here, told, _ = context(
        f"https://login.example/authorize?state={STATE}", f"http://127.0.0.1/?{answer(state='old')}", "the-code"
    )
    assert get_code(begin, "http://127.0.0.1/callback", False, here)[1] == "the-code"
    assert "it has no code" in told[1]
    assert "its state is wrong" in told[2]


def test_a_person_may_paste_nonsense_three_times() -> None:
    here, told, _ = context("no code at all", "http://[", "", "the-code")
    with pytest.raises(LoginFailed, match="No answer"):
        get_code(begin, "http://127.0.0.1/callback", False, here)
    assert len(told) == 4


def test_a_refusal_can_be_pasted() -> None:
    here, _, _ = context(f"http://127.0.0.1/?state={STATE}&error=access_denied")
    with pytest.raises(LoginFailed, match="refused in the browser"):
        get_code(begin, "http://127.0.0.1/callback", False, here)


def test_without_browser_and_terminal_the_listener_waits() -> None:
    here, told, _ = context()
    redirects: list[str] = []
    found: list[str] = []

    def begin_and_tell(redirect_uri: str) -> AuthorizationRequest:
        redirects.append(redirect_uri)
        return begin(redirect_uri)

    thread = threading.Thread(
        target=lambda: found.append(get_code(begin_and_tell, "http://127.0.0.1/callback", False, here)[1])
    )
    thread.start()
    while not told:
        time.sleep(0.01)
    assert "on this machine" in told[0]
    requests.get(redirects[0], params=answer(), timeout=30)
    thread.join()
    assert found == ["the-code"]


def test_without_a_terminal_nothing_can_be_pasted() -> None:
    here, told, _ = context()
    with pytest.raises(LoginFailed, match="there is no terminal"):
        get_code(begin, "https://service.example/code", True, here)
    assert told == []


def test_a_browser_that_does_nothing_runs_into_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(_authorization_code, "TIMEOUT", 0.03)
    here, told, _ = context("never asked")
    with pytest.raises(LoginFailed, match="No answer came from the browser"):
        get_code(begin, "http://127.0.0.1/callback", True, here)
    assert "the browser window that opens now" in told[0]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, False),
        ({"BROWSER": "sh"}, True),
        ({"BROWSER": "sh", "SSH_CONNECTION": "1 2 3 4"}, True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, False),
        ({"DISPLAY": ":0", "SSH_TTY": "/dev/pts/1"}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
    ],
)
def test_a_browser_is_found(
    environ: dict[str, str], found: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    browser = tmp_path / "xdg-open"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("webbrowser._tryorder", None)  # what an earlier test found
    assert finds_browser() is found
