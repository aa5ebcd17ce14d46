"""The auth `json-login` on APIs made with Django REST framework and Simple JWT, and with Flask and Flask-JWT-Extended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy.errors import ConfigError, LoginFailed
from argosy_devkit import LibraryServer, ServerFactory, body_of
from servers.rules import KEY, PASSWORD, USER, book
from servers.service import Service, Tally, start
from servers.trip import SPREADS, Trip

pytestmark = pytest.mark.slow

ITEMS = 50


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PASSWORD", PASSWORD)


@pytest.fixture
def tokens(password: None) -> Iterator[Service]:
    with start("django_tokens") as service:
        yield service


def by_tokens(service: Service, **options: Any) -> dict[str, Any]:
    """Return the options of an API with access and refresh tokens."""
    return {
        "use": "json-login",
        "url": f"{service.url}/api/token/",
        "json": {"username": USER, "password": {"env": "API_PASSWORD"}},
        "tokens": {"json": {"path": "$.access"}},
        "keep": {"refresh_token": "$.refresh"},
        "refresh": {"url": f"{service.url}/api/token/refresh/", "json": {"refresh": "{refresh_token}"}},
        "logout": {"url": f"{service.url}/api/token/blacklist/", "json": {"refresh": "{refresh_token}"}},
        **options,
    }


def trip_to(service: Service, root: Path, auth: dict[str, Any], **config: Any) -> Trip:
    return Trip(root, auth, lambda n: f"{service.url}/books/{n}.bin", book, ITEMS, config)


@pytest.fixture
def cookies(password: None, tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "key").write_text(f"otpauth://totp/api?secret={KEY}&period=1")
    with start("flask_cookies", period=1) as service:
        yield service


def by_cookies(service: Service, **options: Any) -> dict[str, Any]:
    """Return the options of an application with tokens in cookies, a code, and tokens against forged requests."""
    return {
        "use": "json-login",
        "csrf": {"url": f"{service.url}/session", "json": "$.csrf.token", "send": "X-Form-Token"},
        "steps": [
            {
                "url": f"{service.url}/login",
                "json": {"user": {"name": USER, "password": {"env": "API_PASSWORD"}}},
                "success": {"status": 401, "json": "$.challenge"},
                "failure": {"json": "$.errors"},
                "take": {"challenge": "$.challenge"},
            },
            {
                "when": {"json": "$.state", "value": "code_required"},
                "method": "PUT",
                "url": f"{service.url}/login/{{challenge}}",
                "json": {"code": {"totp": {"file": "key"}}},
            },
        ],
        "tokens": {"cookies": ["access_token_cookie"]},
        "logout": {"url": f"{service.url}/logout", "headers": {"X-CSRF-TOKEN": "{csrf}"}},
        "keep": {"csrf": {"cookie": "csrf_access_token"}},
        **options,
    }


def test_an_access_token_in_json(tokens: Service, tmp_path: Path) -> None:
    trip = trip_to(tokens, tmp_path, by_tokens(tokens))
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, report.logins, report.lease_used, trip.wrong()) == (ITEMS, 1, "shared", [])
    assert tokens.tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)
    assert argosy.logout(trip.file) == {"default": True}
    assert (tokens.counts()["logouts"], argosy.sessions(trip.file)) == (1, [])


@pytest.mark.parametrize("spread", SPREADS)
def test_a_refresh_token_is_exchanged_once_by_all(tokens: Service, tmp_path: Path, spread: str) -> None:
    trip = trip_to(tokens, tmp_path, by_tokens(tokens))
    argosy.login(trip.file)
    tokens.expire()
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, report.logins, report.refreshes, trip.wrong()) == (ITEMS, 0, 1, [])
    assert (tokens.counts()["refreshes"], tokens.counts()["logins"]) == (1, 1)
    tokens.expire()
    report = trip.run(force_redownload=True)
    assert (report.logins, report.refreshes) == (0, 1)
    assert "replaced_tokens_sent" not in tokens.counts()


def test_two_terminals_exchange_it_once(tokens: Service, tmp_path: Path) -> None:
    trip = trip_to(tokens, tmp_path, by_tokens(tokens))
    argosy.login(trip.file)
    tokens.expire()
    done = trip.terminals(2)
    assert [(p.returncode, p.stderr) for p in done] == [(0, ""), (0, "")]
    assert trip.wrong() == []
    counts = tokens.counts()
    assert (sum(each["refreshes"] for each in trip.reports()), counts["refreshes"], counts["logins"]) == (1, 1, 1)
    assert "replaced_tokens_sent" not in counts


def test_a_refresh_token_that_was_used_elsewhere_costs_one_login(tokens: Service, tmp_path: Path) -> None:
    store = tmp_path / "cookies.json"
    auth = by_tokens(tokens)
    trip = trip_to(tokens, tmp_path, auth, cookie_store={"use": "json-file", "path": str(store)})
    trip.items = 3
    argosy.login(trip.file)
    before = store.read_bytes()
    tokens.expire()
    assert trip.run().refreshes == 1
    store.write_bytes(before)  # as a restored backup does
    trip.items = 6
    report = trip.run()
    assert (report.counts.done, report.logins, report.refreshes) == (3, 1, 0)
    assert tokens.counts()["replaced_tokens_sent"] == 1


def test_renewed_tokens_that_the_service_refuses_cost_one_login(password: None, tmp_path: Path) -> None:
    with start("django_tokens", steps=True) as tokens:
        trip = trip_to(tokens, tmp_path, by_tokens(tokens))
        argosy.login(trip.file)
        ended: list[str | None] = []

        def on_event(event: argosy.Event) -> None:
            if event.kind == "resource.finished" and not ended:
                ended.append(event.item)
                tokens.expire()

        trip.config |= {"strategy": "threads", "max_workers": 2}
        report = argosy.download(trip.file, on_event)
        assert (report.counts.done, report.logins, trip.wrong()) == (ITEMS, 1, [])
        assert (tokens.counts()["logins"], tokens.counts()["refreshes"]) == (2, 1)


def test_a_wrong_password_is_told(tokens: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PASSWORD", "not-the-password")
    trip = trip_to(tokens, tmp_path, by_tokens(tokens))
    with pytest.raises(LoginFailed, match=r"status 401 from .*/api/token/ .it says: .No active account found"):
        trip.run(**SPREADS["8 threads"])
    assert tokens.counts() == {"failed_logins": 1}


@pytest.mark.parametrize("spread", SPREADS)
def test_cookies_after_two_steps_and_a_code(cookies: Service, tmp_path: Path, spread: str) -> None:
    trip = trip_to(cookies, tmp_path, by_cookies(cookies))
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, report.logins, trip.wrong()) == (ITEMS, 1, [])
    assert cookies.tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


def test_a_logout_repeats_a_value_against_forgery(password: None, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"otpauth://totp/api?secret={KEY}&period=1")
    with start("flask_cookies", period=1, rotate=False) as cookies:
        trip = trip_to(cookies, tmp_path, by_cookies(cookies))
        argosy.login(trip.file)
        wrong = trip_to(cookies, tmp_path, by_cookies(cookies, logout={"url": f"{cookies.url}/logout"}))
        with pytest.raises(LoginFailed, match="Missing CSRF token"):
            argosy.logout(wrong.file)
        assert argosy.logout(trip.file) == {"default": True}
        assert cookies.counts()["logouts"] == 1


def test_an_error_that_repeats_the_password_is_shown_without_it(
    cookies: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PASSWORD", "swordfish-1815")
    trip = trip_to(cookies, tmp_path, by_cookies(cookies))
    done = warm.run("login", str(trip.file))
    assert (done.returncode, "swordfish-1815" in done.stdout + done.stderr) == (3, False)
    assert "This is wrong: {'user': {'name': 'ada', 'password': '***'}}" in " ".join(done.stderr.split())


def test_a_session_that_the_service_ends_costs_one_login(cookies: Service, tmp_path: Path) -> None:
    trip = trip_to(cookies, tmp_path, by_cookies(cookies))
    trip.items = 3
    trip.run()
    cookies.expire()
    trip.items = 6
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, report.logins, trip.wrong()) == (3, 1, [])
    assert (cookies.counts()["logins"], "codes_sent_again" in cookies.counts()) == (2, False)


# -- the library server: tokens that each response replaces


def by_library(server: LibraryServer, root: Path, **options: Any) -> dict[str, Any]:
    (root / "password").write_text(server.password)
    fields = {"user": server.user, "password": {"file": "password"}}
    return {"use": "json-login", "url": server.login_url, "json": fields, **options}


@pytest.mark.parametrize("spread", SPREADS)
def test_header_tokens_are_replaced(library_server: ServerFactory, tmp_path: Path, spread: str) -> None:
    server = library_server(lease_mode="strict", carrier="header")
    auth = by_library(server, tmp_path, tokens={"headers": ["access-token", "client", "uid"]})
    assert _all_of(server, tmp_path, auth, **SPREADS[spread])


@pytest.mark.parametrize("spread", SPREADS)
def test_a_csrf_token_of_each_response_goes_with_the_next_request(
    library_server: ServerFactory, tmp_path: Path, spread: str
) -> None:
    server = library_server(lease_mode="strict", csrf=True)
    auth = by_library(server, tmp_path, tokens={"headers": ["X-CSRF-Token"]})
    assert _all_of(server, tmp_path, auth, **SPREADS[spread])


@pytest.mark.parametrize("spread", SPREADS)
def test_tokens_in_bodies_are_replaced(library_server: ServerFactory, tmp_path: Path, spread: str) -> None:
    server = library_server(lease_mode="strict", carrier="body")
    auth = by_library(server, tmp_path, tokens={"json": {"path": "$.token"}}, rotate="body")
    trip = Trip(tmp_path, auth, lambda n: server.url_for(f"/json/{n}?size=300"), lambda n: b"", 30)
    with pytest.raises(ConfigError, match="exclusive-to-end"):
        trip.run(**SPREADS[spread])
    report = trip.run(lease="exclusive-to-end")
    stats = server.stats()
    assert (report.counts.done, stats.logins, stats.replaced_tokens_sent) == (30, 1, 0)


def _all_of(server: LibraryServer, root: Path, auth: dict[str, Any], **config: Any) -> bool:
    body = body_of("a.bin", 3000)
    trip = Trip(root, auth, lambda n: server.url_for("/files/a.bin?size=3000"), lambda n: body, ITEMS, config)
    report = trip.run()
    stats = server.stats()
    assert (report.counts.done, trip.wrong(), stats.logins, stats.replaced_tokens_sent) == (ITEMS, [], 1, 0)
    return True
