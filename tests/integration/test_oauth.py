"""The auth `oauth2` on an authorization server made with Authlib, which replaces refresh tokens and detects their reuse."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy.errors import LoginFailed, SessionInDoubt
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
    assert "Connection refused" in report.failures[0][2].message
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


def test_logging_out_ends_the_session_at_the_server(trip: Trip, server: OAuthServer) -> None:
    trip.items = 2
    trip.run()
    done = warm.run("logout", str(trip.file))
    assert done.returncode == 0, done.stderr
    assert all(token.revoked for token in server.state.tokens)
    again = warm.run("status", str(trip.file))
    assert "session" not in again.stdout.replace("no session", "")


def at_a_terminal(command: list[str]) -> tuple[int, str]:
    """Run a program at a terminal of its own; return its exit code and what it wrote there."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another program from here on
        os.execv(command[0], command)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        written += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), written.decode()


def login(trip: Trip) -> subprocess.CompletedProcess[str]:
    return warm.run("login", str(trip.file))
