"""The auth `oauth2` with the option `dpop`, on an authorization server and an API that check proofs with PyJWT."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, Response, request

import argosy
from servers.in_thread import InThread
from servers.oauth_server import SECRET, OAuthServer
from servers.trip import SPREADS, Trip

USES = 10  # proofs of a nonce


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with OAuthServer(dpop=USES) as running:
        yield running


@pytest.fixture
def trip(server: OAuthServer, tmp_path: Path) -> Trip:
    (tmp_path / "token").write_text(server.first_token(), "utf-8")
    auth = {
        "use": "oauth2",
        "grant": "refresh_token",
        "issuer": server.url,
        "client_id": "argosy",
        "client_secret": {"env": "CLIENT_SECRET"},
        "refresh_token": {"file": "token"},
        "origins": [server.url],
        "dpop": True,
    }
    made = Trip(tmp_path, auth, lambda n: f"{server.url}/files/{n}?part=1", server.body)
    made.config["cookie_store"] = {"use": "json-file", "path": "session.json"}
    return made


def by_client(trip: Trip) -> None:
    trip.auth = {**trip.auth, "grant": "client_credentials"}
    del trip.auth["refresh_token"]


@pytest.mark.torture(135)
@pytest.mark.parametrize("spread", [pytest.param(name, marks=pytest.mark.slow) for name in SPREADS])
def test_tokens_are_bound_to_a_key_and_nonces_cost_no_login(trip: Trip, server: OAuthServer, spread: str) -> None:
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong()) == (50, [])
    assert (report.logins, report.refreshes, report.refusals, report.lease_used) == (1, 1, 0, "shared")
    assert {name: server.seen[name] for name in ("bad proof", "replayed", "wrong key", "reused")} == {
        "bad proof": 0,
        "replayed": 0,
        "wrong key": 0,
        "reused": 0,
    }
    assert server.seen["server nonce"] == 1, "the first request for a token has none"
    assert server.seen["api nonce"] >= 1


@pytest.mark.slow
def test_two_terminals_have_one_key(trip: Trip, server: OAuthServer) -> None:
    assert [(p.returncode, p.stderr) for p in trip.terminals(2)] == [(0, ""), (0, "")]
    assert trip.wrong() == []
    assert (server.seen["token:refresh_token"], server.seen["wrong key"], server.seen["replayed"]) == (1, 0, 0)


@pytest.mark.slow
def test_one_after_the_other_each_new_nonce_is_used_at_once(trip: Trip, server: OAuthServer) -> None:
    by_client(trip)
    trip.items = 2 * USES + 5
    report = trip.run(strategy="serial", max_workers=1)
    assert (report.counts.done, report.logins, report.refusals) == (trip.items, 1, 0)
    assert (server.seen["api nonce"], server.seen["server nonce"], server.seen["refused"]) == (1, 1, 1)


@pytest.mark.slow
def test_a_refresh_proves_the_same_key_and_the_next_run_has_it(trip: Trip, server: OAuthServer) -> None:
    trip.items = server.state.end_after = 5
    assert trip.run(strategy="serial", max_workers=1).refreshes == 1
    trip.items = 10
    report = trip.run(strategy="serial", max_workers=1)
    assert (report.counts.done, report.logins, report.refreshes) == (5, 0, 1)
    assert (server.seen["reused"], server.seen["wrong key"], server.seen["server nonce"]) == (0, 0, 1)


def test_the_key_is_only_in_the_store(
    trip: Trip, server: OAuthServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    trip.items = 3
    report = trip.run(strategy="serial", max_workers=1)
    store = trip.root / "session.json"
    key = _kept(store)["dpop_key"]
    assert len(key) > 100
    shown = caplog.text + "".join(capsys.readouterr()) + repr(report) + repr(argosy.sessions(trip.file))
    assert key not in shown
    others = [path for path in trip.root.rglob("*") if path.is_file() and path != store]
    assert [path for path in others if key.encode() in path.read_bytes()] == []


def _kept(store: Path) -> dict[str, str]:
    stack: list[Any] = [json.loads(store.read_text("utf-8"))]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "dpop_key" in value:
                return value
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    raise AssertionError("no key is kept")


@pytest.mark.slow
def test_an_encrypted_store_hides_the_key(trip: Trip, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_KEY", "a passphrase that is long enough")
    trip.config["cookie_store"] = {
        "use": "json-file",
        "path": "session.json",
        "encrypt": {"env": "SESSION_KEY"},
    }
    trip.items = 3
    assert trip.run(strategy="serial", max_workers=1).counts.done == 3
    assert b"dpop_key" not in (trip.root / "session.json").read_bytes()


def test_a_server_that_knows_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with OAuthServer() as server:
        auth = {
            "use": "oauth2",
            "grant": "client_credentials",
            "issuer": server.url,
            "client_id": "argosy",
            "client_secret": {"env": "CLIENT_SECRET"},
            "origins": [server.url],
            "dpop": True,
        }
        trip = Trip(tmp_path, auth, lambda n: f"{server.url}/files/{n}", server.body, 3)
        report = trip.run(strategy="serial", max_workers=1)
    assert report.counts.done == 3


@pytest.mark.torture(135)
def test_an_endless_wish_for_another_nonce_is_a_refusal(trip: Trip, server: OAuthServer) -> None:
    app, nonces = Flask(__name__), []

    @app.get("/files/<int:number>")
    def never(number: int) -> Response:
        nonces.append(jwt.decode(request.headers["DPoP"], options={"verify_signature": False}).get("nonce"))
        fields = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": f"n{len(nonces)}"}
        return Response(status=401, headers=fields)

    with InThread(app) as api:
        trip.auth["origins"] = [f"http://127.0.0.1:{api.port}"]
        trip.url, trip.items = (lambda n: f"http://127.0.0.1:{api.port}/files/{n}"), 1
        report = trip.run(strategy="serial", max_workers=1, max_retries=0)
    assert (report.counts.failed, report.logins) == (1, 1)
    assert len(nonces) == 2 * report.refusals, "each request is sent twice at most"
    assert nonces == [None, *(f"n{n}" for n in range(1, len(nonces)))]
