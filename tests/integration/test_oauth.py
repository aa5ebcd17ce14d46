"""The auth `oauth2` on an authorization server made with Authlib, which replaces refresh tokens and detects their reuse."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

import argosy
import warm
from argosy.errors import LoginFailed, SessionInDoubt
from missing import need
from servers.oauth_server import DEVICE, SECRET, OAuthServer
from servers.trip import SPREADS, Trip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with OAuthServer() as running:
        yield running


@pytest.fixture
def trip(server: OAuthServer, tmp_path: Path) -> Trip:
    (tmp_path / "token").write_text(server.first_token(), "utf-8")
    return Trip(tmp_path, auth(server), lambda n: f"{server.url}/files/{n}", server.body)


def auth(server: OAuthServer, **options: Any) -> dict[str, Any]:
    return {
        "use": "oauth2",
        "grant": "refresh_token",
        "issuer": server.url,
        "client_id": "argosy",
        "client_secret": {"env": "CLIENT_SECRET"},
        "refresh_token": {"file": "token"},
        "origins": [server.url],
        **options,
    }


CREDENTIALS = {"grant": "client_credentials"}


def by_client(server: OAuthServer) -> dict[str, Any]:
    options = auth(server, **CREDENTIALS)
    del options["refresh_token"]
    return options


def refreshes(server: OAuthServer) -> int:
    return server.seen["token:refresh_token"]


@pytest.mark.parametrize("spread", SPREADS)
def test_a_refresh_token_is_exchanged_once_by_all(trip: Trip, server: OAuthServer, spread: str) -> None:
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (report.logins, report.refreshes, report.refusals) == (1, 1, 0)
    assert (refreshes(server), server.seen["reused"], server.seen["refused"]) == (1, 0, 0)
    assert report.lease_used == "shared"


def test_two_terminals_exchange_it_once(trip: Trip, server: OAuthServer) -> None:
    done = trip.terminals(2)
    assert [(p.returncode, p.stderr) for p in done] == [(0, ""), (0, "")]
    assert trip.wrong() == []
    assert sum(r["refreshes"] for r in trip.reports()) == 1
    assert (refreshes(server), server.seen["reused"], server.seen["items"]) == (1, 0, 50)


@pytest.mark.parametrize("spread", SPREADS)
def test_tokens_are_replaced_before_they_expire(trip: Trip, server: OAuthServer, spread: str) -> None:
    server.state.lifetime = 2  # seconds; renewed after 1.6
    server.state.delay = 0.3  # so that the last request begins when the first token is due
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (server.seen["reused"], report.refreshes) == (0, refreshes(server))
    assert report.refreshes >= 2


@pytest.mark.parametrize("spread", SPREADS)
def test_access_tokens_that_end_early_are_replaced_once(trip: Trip, server: OAuthServer, spread: str) -> None:
    server.state.end_after = 20
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (refreshes(server), server.seen["reused"]) == (2, 0), "one at the start, one for all that were refused"


def test_the_next_run_goes_on_with_the_newest(trip: Trip, server: OAuthServer) -> None:
    trip.items = server.state.end_after = 5
    assert trip.run(**SPREADS["8 threads"]).refreshes == 1
    trip.items = 10
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, report.logins, report.refreshes, server.seen["reused"]) == (5, 0, 1, 0)


def test_a_first_token_that_was_replaced_is_not_sent_again(trip: Trip, server: OAuthServer) -> None:
    trip.items = 3
    trip.run()
    done = login(trip)
    assert done.returncode == 3
    assert "was used before" in done.stderr
    assert (server.seen["reused"], trip.run(force_redownload=True).counts.done) == (0, 3)
    (trip.root / "token").write_text(server.first_token(), "utf-8")
    assert login(trip).returncode == 0
    assert (trip.run(force_redownload=True).refreshes, server.seen["reused"]) == (0, 0)


def test_a_refresh_whose_answer_is_lost_is_in_doubt(trip: Trip, server: OAuthServer) -> None:
    server.state.drop_refreshes = 1
    with pytest.raises((SessionInDoubt, argosy.errors.TransferError)):
        trip.run(strategy="threads", max_workers=8)
    with pytest.raises(SessionInDoubt, match="in doubt"):
        trip.run()
    assert (refreshes(server), server.seen["reused"]) == (1, 0), "it must not be sent again"


@pytest.mark.torture(131)
def test_a_lost_refresh_is_sent_again_within_the_grace_period(trip: Trip, server: OAuthServer) -> None:
    server.state.drop_refreshes, server.state.grace = 1, 3600
    report = trip.run(strategy="threads", max_workers=8, on_doubt={"wait": 0.1, "within": 3000})
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (server.seen["in grace"], server.seen["reused"], report.refreshes) == (1, 0, 1)


@pytest.mark.torture(131)
def test_a_lost_refresh_is_not_sent_again_after_the_grace_period(trip: Trip, server: OAuthServer) -> None:
    """However much later the next run starts."""
    server.state.drop_refreshes = 1
    late = {"wait": 0, "within": 1e-6}
    with pytest.raises((SessionInDoubt, argosy.errors.TransferError)):
        trip.run(on_doubt=late)
    with pytest.raises(SessionInDoubt, match="in doubt"):
        trip.run(on_doubt=late)
    assert (refreshes(server), server.seen["reused"]) == (1, 0)


def test_a_refresh_token_that_is_no_good_ends_the_run(trip: Trip, server: OAuthServer) -> None:
    (trip.root / "token").write_text("not-a-token-of-this-server", "utf-8")
    with pytest.raises(LoginFailed, match="invalid_grant"):
        trip.run(strategy="threads", max_workers=8)
    assert server.seen["unknown"] == 1, "it is sent once, not once for each thread"
    done = warm.run("status", str(trip.file))
    assert "not-a-token" not in done.stdout + done.stderr


def test_a_wrong_secret_leaves_the_refresh_token_as_it_is(
    trip: Trip, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "wrong")
    with pytest.raises(LoginFailed, match="invalid_client"):
        trip.run()
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    assert (trip.run(**SPREADS["8 threads"]).counts.done, server.seen["reused"]) == (50, 0)


def test_an_authorization_server_that_is_out_of_reach_spends_nothing(trip: Trip, server: OAuthServer) -> None:
    trip.items = 3
    trip.auth = auth(server, token_url="http://localhost:9/token")  # nobody listens there
    del trip.auth["issuer"]
    report = trip.run(max_retries=0)
    assert (report.counts.failed, report.refreshes) == (3, 0)
    assert "Connection refused" in report.failures[0].message
    trip.auth = auth(server)
    assert login(trip).returncode == 0, "the first token was never sent, so it is taken again"
    assert (trip.run().counts.done, refreshes(server), server.seen["reused"]) == (3, 1, 0)


@pytest.mark.parametrize("spread", SPREADS)
def test_client_credentials(trip: Trip, server: OAuthServer, spread: str) -> None:
    trip.auth = by_client(server)
    server.state.lifetime = 2
    server.state.delay = 0.3  # so that the last request begins when the first token is due
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert server.seen["token:client_credentials"] == report.logins
    assert (report.refreshes, report.logins >= 2) == (0, True)


def test_client_credentials_from_two_terminals(trip: Trip, server: OAuthServer) -> None:
    trip.auth = by_client(server)
    assert [p.returncode for p in trip.terminals(2)] == [0, 0]
    assert (server.seen["token:client_credentials"], server.seen["refused"], trip.wrong()) == (1, 0, [])


@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials"])
def test_the_secret_of_the_client_may_go_into_the_form(trip: Trip, server: OAuthServer, grant: str) -> None:
    trip.auth = {
        **(by_client(server) if grant == "client_credentials" else auth(server)),
        "client_auth": "body",
    }
    trip.items = 3
    assert (trip.run().counts.done, server.seen[f"token:{grant}"]) == (3, 1)


def test_a_token_goes_to_its_origins_alone(trip: Trip, server: OAuthServer) -> None:
    elsewhere = server.url.replace("localhost", "127.0.0.1")  # another origin, and the same server
    trip.url = lambda n: f"{elsewhere}/open/{n}" if n % 2 else f"{server.url}/files/{n}"
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, trip.wrong(), server.seen["leaked"]) == (50, [], 0)


def test_a_program_of_ones_own(trip: Trip, server: OAuthServer) -> None:
    server.state.end_after = 20
    with argosy.open_session(trip.file) as session, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: session.get(trip.url(n)).content, range(50)))
    assert got == [server.body(n) for n in range(50)]
    assert (refreshes(server), server.seen["reused"]) == (2, 0)
    assert trip.run(**SPREADS["8 threads"]).refreshes == 0, "a download goes on with its session"


@pytest.mark.slow
@pytest.mark.parametrize("client", ["argosy", "public"])
def test_a_device_code_is_entered_once(trip: Trip, server: OAuthServer, client: str) -> None:
    trip.auth = auth(server, grant="device_code", client_id=client)
    del trip.auth["refresh_token"]
    if client == "public":
        del trip.auth["client_secret"]
    refused = warm.run("download", str(trip.file), "--quiet")
    assert (refused.returncode, "argosy login" in refused.stderr) == (3, True), refused.stderr

    def enter() -> None:
        while not server.state.devices:
            time.sleep(0.02)
        (device,) = server.state.devices.values()
        server.enter(device["user_code"])

    threading.Thread(target=enter, daemon=True).start()
    command = [sys.executable, "-m", "argosy", "login", str(trip.file)]
    if client == "public":  # nothing is typed, so it needs no terminal
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=110, check=False
        )
        code, screen = done.returncode, done.stderr
    else:
        code, screen = at_a_terminal(command)
    assert code == 0, screen
    (device,) = server.state.devices.values()
    words = " ".join(screen.split())
    assert f"open {server.url}/device in a browser and enter the code {device['user_code']}" in words
    assert f"open {server.url}/device?user_code={device['user_code']} in a browser and confirm" in words
    assert device["device_code"] not in screen
    report = trip.run(**SPREADS["4 processes"])
    assert (report.counts.done, report.logins, server.seen[f"token:{DEVICE}"]) == (50, 0, 1)


# -- the authorization code, in a browser


def by_browser(server: OAuthServer, **options: Any) -> dict[str, Any]:
    made = auth(server, grant="authorization_code", **options)
    del made["refresh_token"]
    if made["client_id"] == "public":
        del made["client_secret"]
    return made


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that opens a URL, as `webbrowser` finds it: it answers the form as a person does, and follows redirects.

    It writes its arguments and the last page into files of this folder; a file ``answer`` has the answer.
    """
    need("curl")
    folder = tmp_path / "browser"
    folder.mkdir()
    (folder / "answer").write_text("allow")
    script = folder / "open"
    script.write_text(
        f"""#!/bin/sh
cd {folder}
printf '%s' "$1" > url
curl -s -L -o page.part --data "answer=$(cat answer)" "$1"
mv page.part page.html
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    return folder


def last_page(browser: Path) -> str:
    """Return the page that a browser shows in the end, which may be after the login."""
    while not (browser / "page.html").exists():
        time.sleep(0.02)
    return (browser / "page.html").read_text()


@pytest.mark.parametrize("client", ["argosy", "public"])
def test_a_login_in_a_browser(trip: Trip, server: OAuthServer, browser: Path, client: str) -> None:
    trip.auth = by_browser(server, client_id=client, scope="read")
    trip.items = 5
    log = trip.root / "log"
    done = warm.run("login", str(trip.file), "-vv", "--log-file", str(log))
    assert done.returncode == 0, done.stderr
    assert "argosy continues in the terminal" in last_page(browser)
    (asked,) = server.state.requests
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    url = (browser / "url").read_text()
    assert url in done.stderr
    logged = log.read_text() + (trip.root / "argosy.json").read_text()
    assert (asked["state"] in logged, "code=" in logged) == (False, False)
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, report.logins, report.refreshes, trip.wrong()) == (5, 0, 0, [])
    assert server.seen["token:authorization_code"] == 1


def test_the_code_and_the_tokens_of_a_browser_are_bound_to_one_key(tmp_path: Path, browser: Path) -> None:
    with OAuthServer(dpop=100) as server:
        options = by_browser(server, client_id="public", dpop=True)
        trip = Trip(tmp_path, options, lambda n: f"{server.url}/files/{n}", server.body, 5)
        assert login(trip).returncode == 0
        report = trip.run(**SPREADS["8 threads"])
        (asked,) = server.state.requests
        (token,) = server.state.tokens
    assert asked["dpop_jkt"] == token.key
    assert (report.counts.done, report.logins, trip.wrong(), server.seen["wrong key"]) == (5, 0, [], 0)


def test_a_session_of_a_browser_is_renewed_without_one(trip: Trip, server: OAuthServer, browser: Path) -> None:
    trip.auth = by_browser(server)
    assert login(trip).returncode == 0
    (browser / "open").unlink()
    server.state.end_after = 20
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (report.logins, refreshes(server), server.seen["reused"]) == (0, 1, 0)


def test_a_download_opens_no_browser(trip: Trip, server: OAuthServer, browser: Path) -> None:
    trip.auth = by_browser(server)
    done = warm.run("download", str(trip.file), "--quiet")
    assert (done.returncode, "Log in first: argosy login CONFIG" in done.stderr) == (3, True), done.stderr
    assert login(trip).returncode == 0
    for token in server.state.tokens:
        server.state.end(token.family)
    done = warm.run("download", str(trip.file), "--quiet")
    assert (done.returncode, "argosy login CONFIG" in done.stderr) == (3, True), done.stderr
    assert len(server.state.requests) == 1, "the first login"


def test_a_login_that_is_refused_in_the_browser(trip: Trip, server: OAuthServer, browser: Path) -> None:
    trip.auth = by_browser(server)
    (browser / "answer").write_text("deny")
    done = login(trip)
    assert (done.returncode, "The login was refused in the browser." in done.stderr) == (3, True), done.stderr
    assert "Not logged in" in last_page(browser)


def test_a_scope_or_resource_reaches_the_page(trip: Trip, server: OAuthServer, browser: Path) -> None:
    extra = {"audience": "https://api.example/a b", "prompt": "consent"}
    trip.auth = by_browser(server, scope="read write", parameters=extra)
    assert login(trip).returncode == 0
    asked = server.state.requests[0]
    assert (asked["scope"], asked["audience"], asked["prompt"]) == ("read write", extra["audience"], "consent")


@pytest.mark.parametrize(
    ("published", "issuer", "message"),
    [
        ({}, "https://evil.example", "came from another authorization server"),
        ({}, "", "came from another authorization server"),
        ({"code_challenge_methods_supported": ["plain"]}, None, "does not accept PKCE with S256"),
        ({"authorization_endpoint": None}, None, "offers no login in a browser"),
        ({"authorization_endpoint": "http://login.example/"}, None, "is not encrypted"),
        ({"issuer": "https://evil.example"}, None, "speaks for another issuer"),
    ],
)
def test_a_server_that_is_not_to_be_trusted(
    trip: Trip, server: OAuthServer, browser: Path, published: dict[str, Any], issuer: str | None, message: str
) -> None:
    trip.auth = by_browser(server)
    server.state.published, server.state.issuer = published, issuer
    done = login(trip)
    assert (done.returncode in (2, 3), message in " ".join(done.stderr.split())) == (True, True), done.stderr
    assert server.seen["token:authorization_code"] == 0


@pytest.mark.parametrize("published", [{"code_challenge_methods_supported": None}, {"issuer": None}])
def test_a_server_that_says_less_of_itself(
    trip: Trip, server: OAuthServer, browser: Path, published: dict[str, Any]
) -> None:
    trip.auth = by_browser(server)
    if "issuer" in published:  # no document at all
        del trip.auth["issuer"]
        trip.auth |= {"token_url": f"{server.url}/token", "authorization_url": f"{server.url}/authorize?tenant=7"}
    server.state.published = published
    assert login(trip).returncode == 0
    assert server.state.requests[0].get("tenant") == ("7" if "issuer" in published else None)


def test_a_code_that_the_server_does_not_know(trip: Trip, server: OAuthServer) -> None:
    trip.auth = by_browser(server, browser=False)
    code, screen = at_a_terminal(
        [sys.executable, "-m", "argosy", "login", str(trip.file)], lambda screen: b"a-code-of-another-login"
    )
    words = " ".join(screen.split())
    assert (code, "did not accept the code (invalid_grant)" in words) == (3, True), screen


@pytest.mark.parametrize("client", ["argosy", "public"])
def test_an_answer_is_copied_from_a_browser_elsewhere(trip: Trip, server: OAuthServer, client: str) -> None:
    trip.auth = by_browser(server, client_id=client, browser=False)
    visited = []

    def copy(screen: str) -> bytes:
        (url,) = re.findall(r"http://\S+/authorize\S+", screen)
        answer = requests.post(url, data={"answer": "allow"}, allow_redirects=False, timeout=30)
        visited.append(answer.headers["Location"])
        return visited[0].encode()

    code, screen = at_a_terminal([sys.executable, "-m", "argosy", "login", str(trip.file)], copy)
    assert code == 0, screen
    assert visited[0].startswith("http://127.0.0.1:")
    trip.items = 3
    assert trip.run().counts.done == 3


def test_a_port_in_use_is_told(trip: Trip, server: OAuthServer, browser: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        trip.auth = by_browser(server, redirect_uri=f"http://127.0.0.1:{port}/callback")
        done = login(trip)
    words = " ".join(done.stderr.split())
    assert (done.returncode, f"The port {port} of 127.0.0.1" in words) == (3, True), done.stderr
    assert server.state.requests == []
    assert login(trip).returncode == 0, "which is free now"
    assert server.state.requests[0]["redirect_uri"] == f"http://127.0.0.1:{port}/callback"


@pytest.mark.parametrize("browser_is_here", [True, False])
def test_a_cancelled_login_leaves_the_session_as_it_was(
    trip: Trip, server: OAuthServer, browser: Path, browser_is_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip.auth = by_browser(server)
    assert login(trip).returncode == 0
    trip.auth["browser"] = browser_is_here
    monkeypatch.setenv("BROWSER", "true")  # which opens nothing
    code, screen = at_a_terminal([sys.executable, "-m", "argosy", "login", str(trip.file)], lambda screen: b"\x03")
    assert (code, "Traceback" in screen) == (130, False), screen
    trip.items = 3
    report = trip.run()
    assert (report.counts.done, report.logins, server.seen["token:authorization_code"]) == (3, 0, 1)


@pytest.mark.slow
def test_a_real_browser_brings_the_answer(
    trip: Trip, server: OAuthServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chromium sends the form of the page, and follows the redirect from there to the listener."""
    need("chromium")
    script = tmp_path / "open"
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --password-store=basic"
    script.write_text(
        f"""#!/bin/sh
exec chromium {options} --user-data-dir={tmp_path}/chromium --virtual-time-budget=10000 --dump-dom "$1" > {tmp_path}/page 2> {tmp_path}/messages
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    trip.auth = by_browser(server, client_id="public")
    done = login(trip)
    assert done.returncode == 0, done.stderr + (tmp_path / "messages").read_text()
    report = trip.run(**SPREADS["4 processes"])
    assert (report.counts.done, report.logins, server.seen["token:authorization_code"]) == (50, 0, 1)


def test_logging_out_ends_the_session_at_the_server(trip: Trip, server: OAuthServer) -> None:
    trip.items = 2
    trip.run()
    done = warm.run("logout", str(trip.file))
    assert done.returncode == 0, done.stderr
    assert all(token.revoked for token in server.state.tokens)
    again = warm.run("status", str(trip.file))
    assert "session" not in again.stdout.replace("no session", "")


def test_logging_out_without_a_refresh_token_ends_the_access_token(trip: Trip, server: OAuthServer) -> None:
    trip.items = 2
    trip.run()  # a session with a refresh token, which is replaced by one without
    trip.auth = by_client(server)
    assert login(trip).returncode == 0
    done = warm.run("logout", str(trip.file))
    assert done.returncode == 0, done.stderr
    assert server.state.tokens[-1].revoked


def at_a_terminal(command: list[str], typed: Callable[[str], bytes] | None = None) -> tuple[int, str]:
    """Run a program at a terminal of its own; return its exit code and what it wrote there.

    What `typed` returns is typed as soon as the program waits for the browser or for an answer, as a line unless it is
    Ctrl-C.
    """
    terminal, inner = pty.openpty()
    child = subprocess.Popen(
        command,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(inner)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        written += piece
        if typed is not None and re.search(rb"Address or code: |Ctrl-C cancels", written):
            keys = typed(written.decode())
            os.write(terminal, keys if keys == b"\x03" else keys + b"\n")
            typed = None
    os.close(terminal)
    return child.wait(100), written.decode()


def login(trip: Trip) -> subprocess.CompletedProcess[str]:
    return warm.run("login", str(trip.file))
