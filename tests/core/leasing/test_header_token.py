"""Tokens in header fields go to the origins they were made for."""

from __future__ import annotations

import time

import pytest

from argosy.http.session import open_session
from argosy.leasing.login import NewSession
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, SessionRecord, header_fields, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example/a?b#c", "https://api.example"),
        ("https://API.example:443/", "https://api.example"),
        ("http://api.example:443/", "http://api.example:443"),
        ("http://api.example.:80", "http://api.example"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"),
        ("https://user:pass@api.example/", "https://api.example"),
    ],
)
def test_an_origin(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_a_token_goes_to_its_origins_alone() -> None:
    tokens = (
        HeaderToken("Authorization", "Bearer a", ("https://api.example",)),
        HeaderToken("X-Key", "b", ("https://api.example", "https://files.example:8443")),
    )
    assert header_fields(tokens, "https://api.example/1") == {"Authorization": "Bearer a", "X-Key": "b"}
    assert header_fields(tokens, "https://files.example:8443/1") == {"X-Key": "b"}
    for other in (
        "http://api.example/",
        "https://api.example:8443/",
        "https://api.example.evil/",
        "https://x.api.example/",
    ):
        assert header_fields(tokens, other) == {}


def test_nothing_shows_a_token() -> None:
    token = HeaderToken("Authorization", "Bearer s3cret", ("https://api.example",))
    record = SessionRecord("s", 1, headers=(token,), credentials={"refresh_token": "s3cret-too"})
    assert "s3cret" not in repr(token) + repr(record) + str(record)


@pytest.mark.parametrize(("seconds", "margin"), [(3600, 60), (300, 60), (100, 20), (1, 0.2), (0, 0)])
def test_a_session_is_due_some_time_before_it_expires(seconds: float, margin: float) -> None:
    new = _new()
    before = time.time()
    new.expires_in(seconds)
    granted = new.granted()
    assert before + seconds <= granted.expires <= time.time() + seconds
    assert granted.expires - granted.due == pytest.approx(margin)
    record = SessionRecord("s", 1, due=granted.due)
    assert (record.is_due(granted.due - 0.1), record.is_due(granted.due)) == (False, True)


def test_a_session_that_does_not_expire_is_never_due() -> None:
    assert not SessionRecord("s", 1).is_due(1e12)
    assert _new().granted().due == 0


def test_what_comes_into_a_session_is_told_for_redaction() -> None:
    new, told = _new(), list[str]()
    new.on_token = told.append
    new.add_header("Authorization", "Bearer s3cret", ["https://api.example/a/b"])
    new.add_header("authorization", "Bearer newer", ["https://api.example"])
    new.keep("refresh_token", "r3fresh")
    assert set(told) == {"Bearer s3cret", "s3cret", "Bearer newer", "newer", "r3fresh"}
    (token,) = new.granted().headers
    assert (token.value, token.origins) == ("Bearer newer", ("https://api.example",))


def test_a_refresh_begins_with_what_there_is_and_a_login_with_nothing() -> None:
    header = HeaderToken("Authorization", "Bearer a", ("https://api.example",))
    record = SessionRecord(
        "s", 1, (Cookie("c", "1", "x.example"),), headers=(header,), credentials={"refresh_token": "r"}
    )
    refreshed, logged_in = _new(), _new()
    refreshed.begin_with(record)
    logged_in.before = record.credentials
    assert (refreshed.granted().cookies, refreshed.granted().headers) == (record.cookies, record.headers)
    assert dict(refreshed.granted().credentials) == dict(logged_in.credentials) == {"refresh_token": "r"}
    assert (logged_in.granted().cookies, logged_in.granted().headers) == ((), ())
    assert dict(logged_in.granted().credentials) == {}


def _new() -> NewSession:
    return open_session((5.0, 5.0))
