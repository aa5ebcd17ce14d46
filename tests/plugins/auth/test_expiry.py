"""When a token expires, by what stands beside it or in it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_plugins.auth._expiry import jwt_expiry, left, moment


def jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{body}.c2ln"


@pytest.mark.parametrize(
    ("token", "expires"),
    [
        (jwt({"exp": 1_800_000_000}), 1.8e9),
        (jwt({"exp": 1_800_000_000.5}), 1_800_000_000.5),
        (jwt({"exp": "1800000000"}), 1.8e9),
        (jwt({"exp": True}), None),
        (jwt({"exp": -1}), None),
        (jwt({"exp": 1e300}), None),
        (jwt({}), None),
        (jwt([1]), None),
        ("a.b.c", None),
        ("a.\u00e9\u00e9\u00e9.c", None),
        ("opaque-token", None),
        ("", None),
    ],
)
def test_a_json_web_token(token: str, expires: float | None) -> None:
    assert jwt_expiry(token) == expires


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": 3600}, 3600.0),
        ({"expires_in": "3600"}, 3600.0),
        ({"expiresIn": 12.5}, 12.5),
        ({"expires_at": 1060}, 60.0),
        ({"expires_on": "1060"}, 60.0),
        ({"expiry": "1970-01-01T00:17:40Z"}, 60.0),
        ({"expiresOn": "1970-01-01T01:17:40+01:00"}, 60.0),
        ({"expires_at": 940}, -60.0),
        ({"expires_in": 0}, None),
        ({"expires_in": "soon", "expires_at": 1060}, 60.0),
        ({"expires_in": float("nan")}, None),
        ({"expiry": "next week"}, None),
        ({"expires_in": None, "expiry": ["x"]}, None),
        ({}, None),
    ],
)
def test_what_stands_beside_a_token(answer: dict[str, object], seconds: float | None) -> None:
    assert left(answer, 1000.0) == seconds


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_nothing_makes_it_fail(value: object) -> None:
    found = moment(value)
    assert found is None or 0 < found < 1e12 or isinstance(value, str)


@given(st.text())
def test_no_text_makes_a_json_web_token_fail(text: str) -> None:
    jwt_expiry(text)
    jwt_expiry(f"a.{text}.b")
