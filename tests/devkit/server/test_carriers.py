"""Tokens in header fields, nonces and JSON bodies, and the token against request forgery, are as strict as cookies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from argosy.errors import ConfigError
from argosy_devkit import LeaseMode, LibraryServer, ServerFactory, ServerSettings, body_of

PAGE = "/files/a?size=10"
DATA = "/json/a?size=10"
CSRF = "X-CSRF-Token"
DEVISE = ("access-token", "client", "uid")


def _log_in(server: LibraryServer) -> requests.Response:
    account = {"user": server.user, "password": server.password}
    response = requests.post(server.login_url, json=account, timeout=20)
    assert response.status_code == 200
    return response


def _get(server: LibraryServer, headers: Mapping[str, str], path: str = PAGE) -> requests.Response:
    return requests.get(server.url_for(path), headers=headers, timeout=20, allow_redirects=False)


def _set(response: requests.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in DEVISE}


def _next(sent: Mapping[str, str], response: requests.Response) -> dict[str, str]:
    """Return the header fields of the next request."""
    brought = {name: response.headers[name] for name in (*DEVISE, CSRF) if response.headers.get(name, "").strip()}
    if "token" in response.cookies:
        brought["Cookie"] = f"token={response.cookies['token']}"
    if "token" in response.json():
        brought |= _bearer(response)
    return {**sent, **brought}


def _bearer(response: requests.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {response.json()['token']}"}


def _counts(server: LibraryServer) -> tuple[int, int, int, int]:
    stats = server.stats()
    return stats.logins, stats.rotations, stats.refused, stats.replaced_tokens_sent


def test_an_unknown_carrier_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown carrier 'headers'"):
        ServerSettings(carrier="headers")


def test_json_logs_in_as_the_form_does(library_server: ServerFactory) -> None:
    server = library_server()
    assert _log_in(server).cookies["token"]
    wrong: list[Any] = [{"user": server.user, "password": "loom"}, [], "x"]
    refused = [requests.post(server.login_url, json=value, timeout=20) for value in wrong]
    refused.append(requests.post(server.login_url, data=b"{", headers={"Content-Type": "application/json"}, timeout=20))
    assert [response.status_code for response in refused] == [401] * 4
    assert not any(response.cookies for response in refused)
    assert (server.stats().logins, server.stats().failed_logins) == (1, 4)


def test_a_json_answer_has_the_bytes_of_the_file(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="open")
    assert base64.b64decode(_get(server, {}, DATA).json()["data"]) == body_of("a", 10)


@pytest.mark.parametrize("rules", [{"carrier": "header"}, {"carrier": "body"}, {"csrf": True}], ids=str)
def test_each_carrier_works_with_each_lease_mode(library_server: ServerFactory, rules: dict[str, Any]) -> None:
    server = library_server(**rules)
    for mode in set(LeaseMode) - {LeaseMode.OPEN}:
        server.change(lease_mode=mode)
        server.reset_stats()
        sent = _next({}, _log_in(server))
        for _ in range(6):
            response = _get(server, sent, DATA)
            assert (response.status_code, response.json()["name"]) == (200, "a")
            sent = _next(sent, response)
        stats = server.stats()
        assert (stats.accepted, stats.refused, stats.anonymous, stats.replaced_tokens_sent) == (6, 0, 0, 0)
        assert stats.rotations == {LeaseMode.STATIC: 0, LeaseMode.SLIDE: 1}.get(mode, 6)


# -- header fields


def test_each_response_replaces_the_header_token(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="revoke", carrier="header")
    response = _log_in(server)
    for path in (PAGE, "/nowhere", "/status/500", PAGE):
        old = _set(response)
        response = _get(server, old, path)
        new = _set(response)
        assert (new["access-token"] == old["access-token"], new["client"], new["uid"]) == (
            False,
            old["client"],
            server.user,
        )
    assert not response.cookies
    assert _counts(server) == (1, 4, 0, 0)


def test_a_replaced_header_token_ends_the_session(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="revoke", carrier="header")
    old = _set(_log_in(server))
    new = _set(_get(server, old))
    assert [_get(server, headers).status_code for headers in (old, new)] == [401, 401]
    assert _counts(server) == (1, 1, 2, 1)
    assert server.stats().sessions_revoked == 1


@pytest.mark.parametrize("field", ["client", "uid"])
def test_header_fields_of_another_set_are_refused(library_server: ServerFactory, field: str) -> None:
    server = library_server(carrier="header")
    headers = _set(_log_in(server))
    assert _get(server, {**headers, field: "other"}).status_code == 401
    assert _get(server, {name: value for name, value in headers.items() if name != "access-token"}).status_code == 401
    assert _get(server, headers).status_code == 200
    assert (server.stats().refused, server.stats().anonymous) == (1, 1)


def test_within_a_batch_the_answers_bring_a_blank(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="slide", slide_every=3, carrier="header")
    headers = _set(_log_in(server))
    brought = []
    for _ in range(7):
        response = _get(server, headers)
        assert response.status_code == 200
        assert "access-token" in response.headers
        brought.append(bool(response.headers["access-token"].strip()))
        if brought[-1]:
            headers = _set(response)
    assert brought == [False, False, True, False, False, True, False]
    assert _counts(server) == (1, 2, 0, 0)


def test_a_static_header_token_is_not_repeated(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="static", carrier="header")
    headers = _set(_log_in(server))
    assert ["access-token" in _get(server, headers).headers for _ in range(2)] == [False, False]


# -- the token against request forgery


def test_each_request_must_echo_the_newest_token(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="revoke", csrf=True)
    session = requests.Session()
    account = {"user": server.user, "password": server.password}
    first = echo = session.post(server.login_url, json=account, timeout=20).headers[CSRF]
    for _ in range(3):
        response = session.get(server.url_for(PAGE), headers={CSRF: echo}, timeout=20)
        assert response.status_code == 200
        assert response.headers[CSRF] != echo
        echo = response.headers[CSRF]
    assert session.get(server.url_for(PAGE), timeout=20).status_code == 401, "the cookie alone is not enough"
    assert session.get(server.url_for(PAGE), headers={CSRF: first}, timeout=20).status_code == 401
    session.close()
    assert _counts(server) == (1, 3, 2, 1)


# -- nonces


def test_one_nonce_is_good_for_one_request(library_server: ServerFactory) -> None:
    server = library_server(carrier="nonce")
    session = requests.Session()
    auth: Any = HTTPDigestAuth(server.user, server.password)
    first = session.get(server.url_for(PAGE), auth=auth, timeout=20)
    assert (first.status_code, [old.status_code for old in first.history]) == (200, [401])
    assert server.stats().logins == 1
    for _ in range(3):  # with the nonce that came with the answer before
        _, _, nonce = first.headers["Authentication-Info"].partition("nextnonce=")
        auth._thread_local.chal["nonce"] = nonce.strip('"')
        first = session.get(server.url_for(PAGE), auth=auth, timeout=20)
        assert (first.status_code, first.history) == (200, [])
    assert _counts(server) == (1, 4, 0, 0)
    again = session.get(server.url_for(PAGE), auth=auth, timeout=20)  # requests knows no nextnonce
    assert (again.status_code, [old.status_code for old in again.history]) == (200, [401])
    assert "stale=true" in again.history[0].headers["WWW-Authenticate"]
    session.close()
    assert _counts(server) == (2, 5, 1, 1)


@pytest.mark.parametrize(("user", "password"), [("ada", "loom"), ("bob", "difference engine")])
def test_a_wrong_response_to_a_challenge_is_refused(library_server: ServerFactory, user: str, password: str) -> None:
    server = library_server(carrier="nonce")
    response = requests.get(server.url_for(PAGE), auth=HTTPDigestAuth(user, password), timeout=20)
    assert response.status_code == 401
    assert (server.stats().logins, server.stats().refused, server.stats().anonymous) == (0, 1, 1)


# -- JSON bodies


def test_a_json_body_replaces_the_token(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="revoke", carrier="body")
    headers = _bearer(_log_in(server))
    for _ in range(3):
        assert _get(server, headers).status_code == 200, "a file replaces nothing"
        assert requests.head(server.url_for(DATA), headers=headers, timeout=20).status_code == 200
        response = _get(server, headers, DATA)
        assert base64.b64decode(response.json()["data"]) == body_of("a", 10)
        old, headers = headers, _bearer(response)
    assert _counts(server) == (1, 3, 0, 0)
    assert _get(server, old).status_code == 401
    assert server.stats().sessions_revoked == 1
