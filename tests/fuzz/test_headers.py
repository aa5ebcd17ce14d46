"""Random headers: cookies, dates, response headers. Nothing raises; valid headers keep their meaning."""

from __future__ import annotations

import math
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.cookies.jar import MAX_AGE, cookie_header, parse_cookie_date, parse_set_cookie, settle
from argosy.errors import TransferError
from argosy.models.host_state import LONGEST_RETRY_AFTER
from argosy.models.session import SessionRecord
from argosy.toolkit.names import problem_of, safe_part
from argosy.transfer import headers as response_headers
from argosy.transfer.download import check_status
from argosy.transfer.headers import content_disposition, content_length
from rubbish import fuzzed, header_text, made_of

pytestmark = pytest.mark.slow

NOW = 1_800_000_000.0
URL = "https://www.library.example/books/1"
COOKIE = made_of(
    "token", "=", ";", "; ", " ", "\t", ",", '"', "Max-Age", "Expires", "Domain", "Path", "Secure", "HttpOnly",
    "SameSite", "0", "-", "3600.5", "/", ".", "library.example", "www.library.example", "example", "127.0.0.1",
    "__Host-", "__Secure-", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999999", "\r\n ", "\x00",
)  # fmt: skip
DATE = made_of(
    "Sun",
    ",",
    " ",
    "06",
    "-",
    "Nov",
    "1994",
    "94",
    "08:49:37",
    ":",
    "GMT",
    "+0000",
    "-0000",
    "9999",
    "0",
    "31",
)
TOKEN = st.text(st.sampled_from("abcXYZ0123456789-_.+/"), min_size=1, max_size=40)


@fuzzed
@given(st.lists(COOKIE | header_text, max_size=4), DATE | header_text)
def test_set_cookie(headers: list[str], date: str) -> None:
    jar = settle((), headers, URL, NOW, date)
    record = SessionRecord("default", cookies=jar)
    assert SessionRecord.from_dict(record.to_dict()) == record
    for cookie in jar:
        assert cookie.path.startswith("/")
        assert cookie.domain in ("www.library.example", "library.example")
        assert (cookie.scheme, cookie.port) == ("https", 443)
        assert cookie.expires is None or (NOW < cookie.expires <= NOW + MAX_AGE and math.isfinite(cookie.expires))
    sent = cookie_header(jar, URL, NOW) or ""
    assert not set(sent) & set("\r\n\x00"), "a header that cannot be sent"
    assert (
        sent.count(";")
        == sent.count("; ")
        == max(sum(c.path == "/" or "/books/1".startswith(c.path) for c in jar) - 1, 0)
    )
    assert settle(jar, [], URL, NOW, date) is jar
    assert settle(jar, headers, URL, NOW, date) == jar, "the same headers change nothing any more"
    assert len({c.key for c in jar}) == len(jar), "one record for one cookie"


@fuzzed
@given(TOKEN, TOKEN, COOKIE)
def test_a_token_survives_what_stands_behind_it(name: str, value: str, rest: str) -> None:
    rest = "".join(c for c in rest if c >= " " and c != "\x7f")
    parsed = parse_set_cookie(f"{name}={value}; {rest}")
    assert parsed is not None
    assert (parsed.name, parsed.value) == (name, value)


@fuzzed
@given(st.integers(0, 4_102_444_800))
def test_dates_come_back(seconds: int) -> None:
    assert parse_cookie_date(formatdate(seconds, usegmt=True)) == seconds


@fuzzed
@given(DATE | header_text | st.text(max_size=100))
def test_cookie_dates(text: str) -> None:
    found = parse_cookie_date(text)
    assert found is None or math.isfinite(found)


def answered(status: int, **headers: str) -> requests.Response:
    made: Any = SimpleNamespace(
        status_code=status,
        reason="",
        history=[],
        headers=requests.structures.CaseInsensitiveDict({k.replace("_", "-"): v for k, v in headers.items()}),
    )
    return made  # type: ignore[no-any-return]  # as much of a response as is looked at


@fuzzed
@given(DATE | header_text | st.integers().map(str), DATE | header_text, st.sampled_from([429, 503]))
@example("9" * 5000, "", 429)
@example("0000000000000000300", "", 429)
@example("Sun, 06 Nov 1994 08:49:37 -0000", "Fri, 01 Jan 0001 00:00:00 -0000", 503)
@example("Fri, 31 Dec 9999 23:59:59 -2359", "", 503)
def test_retry_after(value: str, date: str, status: int) -> None:
    with pytest.raises(TransferError) as caught:
        check_status(answered(status, Retry_After=value, Date=date))
    seconds = caught.value.retry_after
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER
    assert seconds is None or math.isfinite(seconds)


@fuzzed
@given(st.integers(0, 10**12))
def test_retry_after_in_seconds_is_what_it_says(seconds: int) -> None:
    with pytest.raises(TransferError) as caught:
        check_status(answered(429, Retry_After=f" 00{seconds} "))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after == min(seconds, LONGEST_RETRY_AFTER)


@fuzzed
@given(st.integers(0, 10**9))
def test_retry_after_as_a_date_is_what_it_says(seconds: int) -> None:
    then, now = (formatdate(t, usegmt=True) for t in (NOW + seconds, NOW))
    with pytest.raises(TransferError) as caught:
        check_status(answered(503, Retry_After=then, Date=now))
    assert caught.value.retry_after == min(seconds, LONGEST_RETRY_AFTER)


@fuzzed
@given(header_text | st.integers().map(str) | st.text("0123456789 +-_.x", max_size=30))
@example("9" * 5000)
@example("\u0663")
@example("1_000")
def test_content_length(value: str) -> None:
    try:
        length = content_length(answered(200, Content_Length=value))
    except TransferError as error:
        assert error.kind == "length"
    else:
        assert length is not None
        assert length >= 0
        assert str(length) == value.lstrip("0") or length == 0


RANGE = made_of("bytes", " ", "=", "0", "-", "99", "/", "*", "100", "9" * 30)
TAG = made_of("W/", '"', "abc", "\\", ",", " ")


@fuzzed
@given(RANGE | header_text, TAG | header_text, DATE | header_text, DATE | header_text)
def test_content_range_and_validators(value: str, tag: str, modified: str, date: str) -> None:
    found = response_headers.content_range(value)
    if found is not None:
        first, last, whole = found
        assert 0 <= first <= last
        assert whole is None or last < whole
    length = response_headers.unsatisfied_length(value)
    assert length is None or length >= 0
    strong = response_headers.strong_etag(tag)
    assert strong is None or (strong.startswith('"') and strong.endswith('"') and "\n" not in strong)
    response_headers.strong_date(modified, date)


@fuzzed
@given(st.integers(0, 10**15), st.integers(1, 10**15), st.integers(0, 10**15))
def test_content_range_is_what_it_says(first: int, size: int, more: int) -> None:
    last, whole = first + size - 1, first + size + more
    found = response_headers.content_range(f"bytes {first}-{last}/{whole}")
    assert found == (first, last, whole)
    assert response_headers.content_range(f"bytes {first}-{last}/{last}") is None


@pytest.mark.parametrize("size", [100_000, 1_000_000])
@pytest.mark.parametrize("piece", ["; Max-Age=1", ";", "=", "a=b;", "\r\n ", "08:", "1 ", "Nov ", '"', "\t"])
def test_a_long_header_takes_time_by_its_length(piece: str, size: int) -> None:
    """A hundredfold length takes some hundredfold time: a thousandfold limit leaves room for a slow machine."""

    def seconds(text: str) -> float:
        begun = time.process_time()
        settle((), [text], URL, NOW, text)
        parse_cookie_date(text)
        return time.process_time() - begun

    short = max(seconds(piece * (size // 100 // len(piece))), 0.0005)
    assert seconds(piece * (size // len(piece))) < short * 2000


DISPOSITION = made_of(
    "attachment", "inline", ";", " ", "filename", "FILENAME", "*", "=", '"', "\\", "/", "..", "UTF-8''", "bogus'x'",
    "%2e%2F", "%", "%ff", "0", "1", "99999999999999999999", "a.pdf", ".argosy", "CON", "\u00c3\u00af", "'",
)  # fmt: skip


@fuzzed
@given(DISPOSITION | header_text)
def test_content_disposition(value: str) -> None:
    name = content_disposition({"Content-Disposition": value})
    if name is not None:
        assert problem_of(name) is None
        assert "/" not in name
        assert safe_part(name, keep_suffix=True) == name
