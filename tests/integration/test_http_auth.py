"""The auths `basic`, `digest` and `bearer` on a service made with Flask-HTTPAuth."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import ArgosyError, ConfigError, LoginFailed, SessionLost
from servers import strict_digest
from servers.http_auth import PASSWORD, TOKEN, USER, HttpAuthServer
from servers.trip import SPREADS, Trip

SCHEMES = ("basic", "digest", "bearer", "key", "command")


@pytest.fixture
def server() -> Iterator[HttpAuthServer]:
    with HttpAuthServer() as running:
        yield running


@pytest.fixture
def sail(server: HttpAuthServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SERVICE_PASSWORD", PASSWORD)
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    (tmp_path / "token.txt").write_text(TOKEN, "utf-8")

    def make(scheme: str, **options: Any) -> Trip:
        origins = [server.url]
        password = {"origins": origins, "user": USER, "password": {"env": "SERVICE_PASSWORD"}}
        auths: dict[str, dict[str, Any]] = {
            "basic": {"use": "basic", **password},
            "digest": {"use": "digest", **password},
            "bearer": {"use": "bearer", "origins": origins, "token": {"env": "SERVICE_TOKEN"}},
            "key": {
                "use": "bearer",
                "origins": origins,
                "token": {"env": "SERVICE_TOKEN"},
                "header": "X-Api-Key",
            },
            "command": {"use": "bearer", "origins": origins, "command": _printing(tmp_path)},
        }
        where = "bearer" if scheme == "command" else scheme
        return Trip(tmp_path, {**auths[scheme], **options}, lambda n: f"{server.url}/{where}/{n}", server.body)

    return make


def _printing(root: Path, **answer: Any) -> list[str]:
    """Return a command that prints the token, and counts how often it does."""
    script = root / "token.py"
    script.write_text(
        "import json, pathlib\n"
        f"root = pathlib.Path({str(root)!r})\n"
        "with (root / 'calls').open('a') as calls:\n"
        "    calls.write('x')\n"
        "token = (root / 'token.txt').read_text()\n"
        f"answer = {answer!r}\n"
        "print(json.dumps({'accessToken': token, **answer}) if answer else token)\n",
        "utf-8",
    )
    return [sys.executable, str(script)]


def calls(root: Path) -> int:
    return len((root / "calls").read_text("utf-8"))


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_50_items(sail: Any, server: HttpAuthServer, scheme: str, spread: str) -> None:
    trip = sail(scheme)
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong(), report.refusals, report.logins) == (50, [], 0, 1)
    challenges = 8 if scheme == "digest" else 0  # one for each thread
    assert server.seen["refused"] <= challenges
    assert report.lease_used == "shared"
    if scheme == "command":
        assert calls(trip.root) == 1


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_two_terminals(sail: Any, server: HttpAuthServer, scheme: str) -> None:
    trip = sail(scheme)
    assert [(p.returncode, p.stderr) for p in trip.terminals(2)] == [(0, ""), (0, "")]
    assert trip.wrong() == []
    assert sum(report["logins"] for report in trip.reports()) == 1


@pytest.mark.parametrize("scheme", ["basic", "digest", "bearer", "key"])
def test_nothing_of_it_stands_in_the_store(sail: Any, scheme: str) -> None:
    trip = sail(scheme)
    trip.run(cookie_store={"use": "json-file", "path": "cookies.json"})
    kept = (trip.root / "cookies.json").read_text("utf-8")
    for secret in (PASSWORD, TOKEN, json.dumps(PASSWORD)[1:-1]):
        assert secret not in kept


@pytest.mark.parametrize("scheme", ["basic", "digest", "bearer", "key"])
def test_credentials_do_not_follow_to_another_origin(sail: Any, server: HttpAuthServer, scheme: str) -> None:
    trip = sail(scheme)
    trip.url = lambda n: f"{server.url}/away/{scheme}/{n}"
    trip.items = 3
    with pytest.raises(ArgosyError):
        trip.run(max_retries=0)
    assert server.seen["leaked"] == 0


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_a_wrong_password_is_sent_once(
    sail: Any, server: HttpAuthServer, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "wrong")
    trip = sail(scheme)
    with pytest.raises(SessionLost, match="password"):
        trip.run(strategy="serial", max_workers=1)
    assert server.seen["refused"] <= (2 if scheme == "digest" else 1), "accounts are locked after some of these"
    checked = sail(scheme, check=f"{server.url}/{scheme}/1")
    server.seen.clear()
    with pytest.raises(LoginFailed, match="does not accept the user name and the password"):
        argosy.login(checked.file)
    assert server.seen["refused"] <= 2


def test_a_right_password_is_found_right_before_the_first_item(sail: Any, server: HttpAuthServer) -> None:
    assert argosy.login(sail("digest", check=f"{server.url}/digest/1").file) == ["default"]
    assert argosy.login(sail("basic", check=f"{server.url}/basic/1").file) == ["default"]
    with pytest.raises(ConfigError, match="none of its origins"):
        argosy.login(sail("basic", check="https://elsewhere.example/").file)


def test_netrc_is_read_only_when_asked_for(sail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", "utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    trip = sail("basic")
    trip.items = 3
    for given in (True, ".netrc"):
        trip.auth = {"use": "basic", "origins": trip.auth["origins"], "netrc": given}
        assert trip.run(force_redownload=True).counts.done == 3
    trip.auth = {"use": "none"}
    assert trip.run(force_redownload=True).counts.failed == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("machine 127.0.0.1 login ada\n", "has no user name and password|is not a .netrc"),
        (
            "machine elsewhere.example login ada password secret1\n",
            "has no user name and password for 127.0.0.1",
        ),
        ("secret1 secret2\n", "is not a .netrc file"),
        (b"\xff\xfe\x00", "not UTF-8|is not a .netrc|cannot be read"),
    ],
)
def test_a_netrc_that_is_of_no_use(sail: Any, tmp_path: Path, text: str | bytes | None, says: str) -> None:
    path = tmp_path / "netrc"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    trip = sail("basic")
    trip.auth = {"use": "basic", "origins": trip.auth["origins"], "netrc": "netrc"}
    with pytest.raises(ConfigError, match=says) as caught:
        trip.run()
    assert "secret1" not in str(caught.value)


def test_a_command_runs_again_before_its_token_expires(sail: Any, tmp_path: Path) -> None:
    trip = sail("command")
    trip.auth["command"] = _printing(tmp_path, expires_in=1)
    trip.items = 3
    trip.run()
    time.sleep(1.0)
    trip.run(force_redownload=True)
    assert calls(tmp_path) >= 2


def test_a_command_runs_again_when_its_token_is_refused(sail: Any, server: HttpAuthServer, tmp_path: Path) -> None:
    trip = sail("command")
    trip.items = 20
    trip.run(**SPREADS["8 threads"])
    server.tokens = {"another-token-456"}
    (tmp_path / "token.txt").write_text("another-token-456", "utf-8")
    report = trip.run(**SPREADS["8 threads"], force_redownload=True)
    assert (report.counts.done, report.logins, calls(tmp_path)) == (20, 1, 2)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-program-anywhere"], "cannot be run: No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('not logged in')"], "ended with 1: not logged in"),
        ([sys.executable, "-c", "print()"], "printed no token"),
        ([sys.executable, "-c", "print('two words')"], "printed no token"),
        ([sys.executable, "-c", "print('{\"a\": 1}')"], "printed no token"),
        ([sys.executable, "-c", "print('{')"], "printed no token"),
        (
            [sys.executable, "-c", 'print(\'{"token": "abc", "expires_at": 1000}\')'],
            "printed a token that has expired",
        ),
    ],
)
def test_a_command_that_gives_no_token(sail: Any, command: list[str], says: str) -> None:
    with pytest.raises(LoginFailed, match=says):
        sail("command", command=command).run()


@pytest.mark.slow
@pytest.mark.parametrize("uses", [5, 1000])
@pytest.mark.parametrize("spread", SPREADS)
def test_no_count_of_a_nonce_is_refused_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spread: str, uses: int
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", strict_digest.PASSWORD)
    with strict_digest.StrictDigest(uses) as server:
        password = {"user": strict_digest.USER, "password": {"env": "SERVICE_PASSWORD"}}
        auth = {"use": "digest", "origins": [server.url], **password}
        trip = Trip(tmp_path, auth, lambda n: f"{server.url}/{n}", server.body, 60)
        report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong(), report.logins, report.refusals) == (60, [], 1, 0)
    processes = 4 if spread == "4 processes" else 1
    assert server.seen["counted twice"] <= processes * (60 // uses + 1)
    if processes == 1:
        assert (server.seen["counted twice"], server.seen["challenged"]) == (0, 1)
