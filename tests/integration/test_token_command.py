"""`argosy token`: one renewal for all programs that ask at the same moment, and no token anywhere but in its answer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy.models.session import SessionRecord
from servers.oauth_server import SECRET, OAuthServer

STORE = "library/.argosy/cookies.json"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with OAuthServer() as running:
        yield running


class Place:
    """A configuration for an authorization server, and its session."""

    def __init__(self, root: Path, server: OAuthServer, **auth: Any) -> None:
        self.root, self.server = root, server
        (root / "token").write_text(server.first_token(), "utf-8")
        self.auth = {
            "use": "oauth2",
            "grant": "refresh_token",
            "issuer": server.url,
            "client_id": "argosy",
            "client_secret": {"env": "CLIENT_SECRET"},
            "refresh_token": {"file": "token"},
            "origins": [server.url],
            **auth,
        }
        if self.auth["grant"] != "refresh_token":
            del self.auth["refresh_token"]
        self.config = root / "argosy.json"
        document = {"auth": self.auth, "cookie_store": {"use": "json-file", "path": "cookies.json"}}
        self.config.write_text(json.dumps(document), "utf-8")

    def store(self) -> argosy.CookieStore:
        return argosy.open_store("json-file", path=str(self.root / "cookies.json"))

    def record(self) -> SessionRecord:
        record = self.store().read("default")
        assert record is not None
        return record

    def change(self, **changes: Any) -> None:
        record = self.record()
        self.store().write(replace(record, generation=record.generation + 1, **changes), record.generation)

    def expire(self) -> None:
        """Let the access token end, at the server and for argosy."""
        for token in self.server.state.tokens:
            token.expires_at = 0.0
        self.change(expires=time.time() - 1, due=time.time() - 60)

    def start(self, *options: str) -> warm.Command:
        return warm.shared().start("token", str(self.config), *options)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return warm.run("token", str(self.config), *options)

    @property
    def refreshes(self) -> int:
        return self.server.seen["token:refresh_token"]


@pytest.fixture
def place(tmp_path: Path, server: OAuthServer) -> Place:
    return Place(tmp_path, server)


def wait_for(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


@pytest.mark.torture(150)
def test_50_programs_at_the_same_moment_cost_one_refresh(place: Place, server: OAuthServer) -> None:
    assert place.run().returncode == 0
    place.expire()
    server.state.gate = threading.Event()
    running = [place.start() for _ in range(50)]
    wait_for(lambda: place.refreshes == 2)  # one is under way, and the others wait for it, or come later
    server.state.gate.set()
    ended = [(*one.communicate(timeout=110), one.wait(10)) for one in running]
    assert {(code, err) for _, err, code in ended} == {(0, "")}
    (answer,) = {out for out, _, _ in ended}
    assert server.is_good(answer.strip())
    assert (place.refreshes, server.seen["reused"]) == (2, 0), "one at first, one for all 50"


def test_a_first_token_is_got_once_by_all(place: Place, server: OAuthServer) -> None:
    running = [place.start() for _ in range(10)]
    (answer,) = {one.communicate(timeout=110)[0] for one in running}
    assert server.is_good(answer.strip())
    assert (place.refreshes, server.seen["reused"]) == (1, 0)
    assert place.run().stdout == answer
    assert place.refreshes == 1, "a good token is not renewed"


@pytest.mark.torture(151)
@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials"])
def test_killed_while_it_renews(tmp_path: Path, server: OAuthServer, grant: str) -> None:
    place = Place(tmp_path, server, grant=grant)
    assert place.run().returncode == 0
    place.expire()
    server.state.gate = threading.Event()
    first = place.start()
    wait_for(lambda: server.seen[f"token:{grant}"] == 2)
    others = [place.start() for _ in range(3)]
    first.kill()
    server.state.gate.set()
    ended = [(*other.communicate(timeout=110), other.wait(10)) for other in others]
    assert (server.seen["reused"], first.communicate(timeout=10)[0]) == (0, "")
    if grant == "client_credentials":  # argosy can log in by itself
        (answer,) = {out for out, _, _ in ended}
        assert server.is_good(answer.strip())
        assert server.seen[f"token:{grant}"] == 3
        return
    assert {(out, code) for out, _, code in ended} == {("", 3)}
    assert all("in doubt" in err and "argosy login" in err for _, err, _ in ended)
    (tmp_path / "token").write_text(server.first_token(), "utf-8")
    assert warm.run("login", str(place.config)).returncode == 0
    assert server.is_good(place.run().stdout.strip())
    assert server.seen["reused"] == 0
