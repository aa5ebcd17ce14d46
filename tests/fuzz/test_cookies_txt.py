"""Rubbish in a cookies.txt: it is read, or refused in words; and whatever can be written comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import StoreDamaged
from argosy.models.cookie import Cookie
from argosy_plugins.cookie_stores._cookies_txt import parse, text_of
from argosy_plugins.cookies_txt import line_of, parse_line
from rubbish import fuzzed, made_of

pytestmark = pytest.mark.slow

PIECES = made_of(
    "# Netscape HTTP Cookie File\n", "#HttpOnly_", "h.example", ".h.example", "h.example:8080", "[::1]:80", "\t",
    "TRUE", "FALSE", "/", "0", "-1", "1e999", "nan", "1799999999", "1799999999000", "token", "value", "\n", "\r\n", " ",
    "\ufeff", "\x00", "\xe9", "#", ";", "\u0130", most=25,
)  # fmt: skip
COOKIES = st.builds(
    Cookie,
    name=st.text(max_size=8),
    value=st.text(max_size=8),
    domain=st.sampled_from(["h.example", "127.0.0.1", "::1", "\u0130", "a\nb", "h:1"]),
    path=st.sampled_from(["/", "/a b", "/\t", "/\xe9"]),
    expires=st.none() | st.floats(-1e12, 1e12),
    secure=st.booleans(),
    http_only=st.booleans(),
    host_only=st.booleans(),
)


@fuzzed
@given(text=PIECES)
def test_a_file_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text.encode(), "cookies.txt")
    except StoreDamaged as error:
        assert error.hint
        return
    lines = [line for cookie in found.cookies.values() if (line := line_of(cookie)) is not None]
    again = parse(text_of(found.rest, lines, "beside"), "cookies.txt")
    assert again.rest == found.rest
    assert again.fingerprint == found.fingerprint or len(lines) < len(found.cookies)


@fuzzed
@given(cookie=COOKIES)
def test_what_can_be_written_comes_back(cookie: Cookie) -> None:
    line = line_of(cookie)
    if line is not None:
        assert not set(line) & {"\n", "\r", "\0"}
        end = None if cookie.expires is None else float(max(int(cookie.expires), 1))
        assert parse_line(line) == replace(cookie, expires=end)
