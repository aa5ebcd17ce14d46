"""Content-Range, entity tags and dates (RFC 9110)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.transfer.headers import content_range, strong_date, strong_etag, unsatisfied_length


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes 0-0/1", (0, 0, 1)),
        ("bytes 100-199/1000", (100, 199, 1000)),
        ("bytes 100-199/*", (100, 199, None)),
        (" Bytes 0-9/10\t", (0, 9, 10)),
    ],
)
def test_content_range(value: str, found: tuple[int, int, int | None]) -> None:
    assert content_range(value) == found


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "bytes",
        "bytes */1000",
        "bytes 5-4/10",
        "bytes 0-10/10",
        "bytes 0-9",
        "bytes -9/10",
        "bytes 0-/10",
        "bytes +0-9/10",
        "bytes 0 - 9/10",
        "bytes  0-9/10",
        "bytes=0-9/10",
        "items 0-9/10",
        "bytes 0-9/10, bytes 10-19/20",
        "bytes \u0660-\u0669/10",
        "bytes 0-9/10\nX: y",
        f"bytes 0-9/{'9' * 40}",
    ],
)
def test_an_invalid_content_range(value: str | None) -> None:
    assert content_range(value) is None


@pytest.mark.parametrize(
    ("value", "length"),
    [("bytes */0", 0), ("bytes */1000", 1000), ("bytes 0-9/10", None), ("bytes */*", None), (None, None)],
)
def test_unsatisfied_length(value: str | None, length: int | None) -> None:
    assert unsatisfied_length(value) == length


@given(st.integers(0, 10**17), st.integers(1, 10**17), st.integers(0, 10**17) | st.none())
def test_every_possible_range_is_parsed(first: int, size: int, after: int | None) -> None:
    last = first + size - 1
    length = None if after is None else last + 1 + after
    value = f"bytes {first}-{last}/{'*' if length is None else length}"
    assert content_range(value) == (first, last, length)


@given(st.text(max_size=60) | st.from_regex(r"bytes [0-9*-]*/[0-9*]*"))
def test_garbage_is_ignored(value: str) -> None:
    found = content_range(value)
    assert found is None or 0 <= found[0] <= found[1] < (found[2] or found[1] + 1)
    assert (unsatisfied_length(value) or 0) >= 0


@pytest.mark.parametrize(
    ("value", "strong"),
    [
        ('"a"', True),
        ('""', True),
        (' "a" ', True),
        ('"caf\u00e9"', True),
        ('W/"a"', False),
        ("a", False),
        ('"a', False),
        ('"a"b"', False),
        ('"a" "b"', False),
        ('"a\r\nX: y"', False),
        (None, False),
    ],
)
def test_strong_etag(value: str | None, strong: bool) -> None:
    assert strong_etag(value) == (value.strip() if strong and value else None)


@pytest.mark.parametrize(
    ("date", "strong"),
    [
        ("Tue, 14 Nov 2023 22:14:20 GMT", True),
        ("Tue, 14 Nov 2023 22:14:19 GMT", False),
        ("Tue, 14 Nov 2023 22:00:00 GMT", False),
        ("yesterday", False),
        ("", False),
        (None, False),
    ],
)
def test_strong_date(date: str | None, strong: bool) -> None:
    modified = "Tue, 14 Nov 2023 22:13:20 GMT"
    assert strong_date(modified, date) == (modified if strong else None)
    assert strong_date(None, date) is None
    assert strong_date(f"{modified}\r\nX: y", date) is None
