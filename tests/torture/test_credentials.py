"""The torture table: what says who asks, beside the cookies; wrong credentials, and sessions that have expired."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import SessionLost
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from servers.http_auth import PASSWORD, TOKEN, USER, HttpAuthServer
from servers.trip import Trip
from voyage import Voyage

SetSail = Callable[..., Voyage]

HEADER = """
import argosy
from argosy_plugins.auth.form_login import FormLogin


class HeaderLogin(FormLogin):
    name = "header-login"
    summary = "A form login for a service that wants a header field"

    def login(self, session):
        super().login(session)
        session.add_header("X-Requested-With", "XMLHttpRequest", [self.options["url"]])


@argosy.hookimpl
def argosy_auth():
    return HeaderLogin
"""

SIGNER = """
import argosy
from argosy_plugins.auth.form_login import FormLogin
from requests.auth import AuthBase


class Adds(AuthBase):
    def __call__(self, request):
        request.headers["X-Requested-With"] = "XMLHttpRequest"
        return request


class HeaderLogin(FormLogin):
    name = "header-login"
    summary = "A form login for a service that wants a header field"
    stateless_signer = {stateless}

    def signer(self):
        return Adds()


@argosy.hookimpl
def argosy_auth():
    return HeaderLogin
"""

NONCE = """
import time

import argosy
from argosy import Auth
from requests.auth import AuthBase


class Nonce(AuthBase):
    nonce = "0"

    def __call__(self, request):
        request.headers["X-Nonce"] = self.nonce
        time.sleep(0.001)
        request.register_hook("response", self.take)
        return request

    def take(self, response, **options):
        self.nonce = response.headers.get("X-Next-Nonce", self.nonce)
        return response


class NonceAuth(Auth):
    name = "nonce"
    summary = "Signs each request with what the answer before brought"
    can_login = False

    def login(self, session):
        pass

    def signer(self):
        return Nonce()

    def is_refusal(self, response):
        return response.status == 401


@argosy.hookimpl
def argosy_auth():
    return NonceAuth
"""


@pytest.fixture
def server() -> Iterator[HttpAuthServer]:
    with HttpAuthServer() as running:
        yield running


def plugin(folder: Path, text: str) -> Path:
    path = folder / "plugin.py"
    path.write_text(text, "utf-8")
    return path


def change(voyage: Voyage, **changes: Any) -> None:
    """Change the session in the store."""
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    record = store.read("default")
    assert record is not None
    store.write(replace(record, generation=record.generation + 1, **changes), record.generation)
    store.close()


def expired(voyage: Voyage) -> tuple[Cookie, ...]:
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    record: SessionRecord | None = store.read("default")
    store.close()
    assert record is not None
    return tuple(replace(cookie, expires=1.0) for cookie in record.cookies)


# -- 101: a header field beside the cookies


@pytest.mark.torture(73)
@pytest.mark.parametrize(
    "text",
    [HEADER, SIGNER.format(stateless=False), SIGNER.format(stateless=True)],
    ids=["add_header", "signer", "stateless"],
)
def test_a_header_of_an_auth_plugin_leaves_the_cookies_protected(set_sail: SetSail, text: str) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=8, size=2000, ttfb=0.002)
    voyage.config["auth"]["use"] = "header-login"
    path = plugin(voyage.root, text)
    report = argosy.download(voyage.file, plugins=[path])
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    assert report.lease_used == "exclusive"
    (session,) = argosy.sessions(voyage.file, plugins=[path])
    assert (session.lease, session.lease_reason) == (report.lease_used, report.lease_reason)


@pytest.mark.torture(73)
@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_cookie_beside_a_password_takes_turns_and_none_does_not(
    server: HttpAuthServer, tmp_path: Path, scheme: str
) -> None:
    trip = wrong(server, tmp_path, scheme, right=True)
    trip.items = 20
    trip.config["cookie_store"] = {"use": "json-file", "path": "cookies.json"}
    for sets_cookie, lease in ((False, "shared"), (True, "exclusive")):
        server.sets_cookie = sets_cookie
        report = trip.run(max_workers=8, force_redownload=True)
        (session,) = argosy.sessions(trip.file)
        assert (report.counts.done, report.refusals, report.lease_used) == (20, 0, lease)
        assert (session.lease, session.lease_reason) == (report.lease_used, report.lease_reason)


@pytest.mark.torture(73)
@pytest.mark.parametrize("away", ["", "away/"])
def test_a_signer_signs_with_what_the_answer_before_brought(server: HttpAuthServer, tmp_path: Path, away: str) -> None:
    trip = Trip(tmp_path, {"use": "nonce"}, lambda n: f"{server.url}/nonce/{away}{n}", server.body, items=25)
    trip.config["max_workers"] = 8
    report = argosy.download(trip.file, plugins=[plugin(tmp_path, NONCE)])
    assert (report.counts.done, trip.wrong(), server.seen["replaced"]) == (25, [], 0)
    assert report.lease_used == "exclusive"


# -- 102: credentials that are wrong


def wrong(server: HttpAuthServer, folder: Path, scheme: str, *, right: bool = False) -> Trip:
    """Return a download with credentials that the service does not accept."""
    (folder / "password").write_text(PASSWORD if right else "wrong", "utf-8")
    (folder / "token").write_text(TOKEN if right else "wrong", "utf-8")
    auth: dict[str, Any] = {"use": scheme, "origins": [server.url]}
    if scheme == "bearer":
        auth |= {"token": {"file": "token"}}
    else:
        auth |= {"user": USER, "password": {"file": "password"}}
    return Trip(folder, auth, lambda n: f"{server.url}/{scheme}/{n}", server.body)


@pytest.mark.torture(74)
@pytest.mark.parametrize("sets_cookie", [False, True])
@pytest.mark.parametrize("scheme", ["basic", "digest", "bearer"])
def test_wrong_credentials_are_sent_once_by_eight_workers(
    server: HttpAuthServer, tmp_path: Path, scheme: str, sets_cookie: bool
) -> None:
    server.sets_cookie = sets_cookie
    with pytest.raises(SessionLost):
        wrong(server, tmp_path, scheme).run(max_workers=8)
    assert server.seen["refused"] == (2 if scheme == "digest" else 1), "Digest asks for its challenge first"


@pytest.mark.torture(74)
@pytest.mark.parametrize("lease", ["auto", "shared"])
def test_dead_imported_cookies_are_sent_once(set_sail: SetSail, lease: str) -> None:
    voyage = set_sail(items=20, lease_mode="static", max_workers=8, size=1000, lease=lease)
    jar = voyage.root / "export.json"
    jar.write_text(json.dumps({"token": "1.1.dead"}), "utf-8")
    jar.chmod(0o600)
    voyage.config["auth"] = {"use": "cookies", "path": "export.json", "url": voyage.server.url}
    with pytest.raises(SessionLost):
        argosy.download(voyage.file)
    assert voyage.server.stats().refused == 1


# -- 103: a session that has expired


@pytest.mark.torture(75)
@pytest.mark.parametrize("strategy", ["threads", {"use": "multiprocess", "processes": 2}])
def test_an_expired_session_is_logged_in_before_anything_is_sent(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=20, lease_mode="static", max_workers=8, size=1000, strategy=strategy)
    argosy.download(voyage.file)
    forgery = Cookie("csrftoken", "x", "127.0.0.1")  # lives longer than the session, and is not it
    change(voyage, cookies=(*expired(voyage), forgery))
    voyage.server.reset_stats()
    voyage.config["force_redownload"] = True
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, stats.refused, stats.logins, report.logins) == (20, 0, 1, 1)


@pytest.mark.torture(75)
def test_expired_cookies_that_were_imported_are_not_tried(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="static", max_workers=2, size=1000)
    argosy.download(voyage.file)
    change(voyage, cookies=expired(voyage))
    voyage.server.reset_stats()
    (voyage.root / "export.json").write_text("{}", "utf-8")
    voyage.config |= {"force_redownload": True}
    voyage.config["auth"] = {"use": "cookies", "path": "export.json", "url": voyage.server.url}
    with pytest.raises(SessionLost, match="has expired, and argosy cannot renew it"):
        argosy.download(voyage.file)
    assert (voyage.server.stats().refused, voyage.server.stats().accepted) == (0, 0)


@pytest.mark.torture(75)
def test_a_cookie_that_expires_beside_a_password_ends_nothing(server: HttpAuthServer, tmp_path: Path) -> None:
    trip = wrong(server, tmp_path, "basic", right=True)
    trip.items = 3
    trip.config["cookie_store"] = {"use": "json-file", "path": "cookies.json"}
    server.sets_cookie = True
    trip.run()
    store = argosy.open_store("json-file", path=str(tmp_path / "cookies.json"))
    record = store.read("default")
    assert record is not None
    assert record.cookies
    past = tuple(replace(cookie, expires=1.0) for cookie in record.cookies)
    store.write(replace(record, generation=record.generation + 1, cookies=past), record.generation)
    store.close()
    report = trip.run(force_redownload=True)
    assert (report.counts.done, report.logins, server.seen["refused"]) == (3, 0, 0)
