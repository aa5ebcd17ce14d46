"""Rubbish in names, URLs and ids: what is made is safe, what is asked for is safe or refused, and it fits a disk."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from argosy.toolkit.names import MAX_PART, collision_key, problem_of, safe_part
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.urls import check_url, file_name, redact_url
from argosy_plugins.sources.urls import full_path
from rubbish import fuzzed, header_text, made_of

pytestmark = pytest.mark.slow

#: Names that some system cannot store, or takes for something else (Windows' rules; Unicode's for bidi and format).
PIECES = made_of(
    "a", "B", ".", "..", "/", "\\", " ", "CON", "nul", "com1", "COM\u00b9", "aux.txt", "LPT9 ", ":", "*", "?", '"',
    "<", ">", "|", "\x00", "\x1b[31m", "\u202e", "\u200f", "\ufeff", "\u2028", "\ud800", "\u00e9", "e\u0301", "\u212b",
    "\U0001f600", "x" * 250, "\u6f22" * 90, "~", "-", ".argosy", ".tar.gz", "\u00df", "\u0130", "\uff0e\uff0e", "CONIN$",
)  # fmt: skip
TEXT = PIECES | header_text | st.text(max_size=300)
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{n}{d}" for n in ("com", "lpt") for d in "123456789\u00b9\u00b2\u00b3"
}


def is_storable(part: str) -> bool:
    """Return whether every system can store a part of a name, by rules written down anew here."""
    stem = part.split(".")[0].rstrip(" ").lower()
    return (
        bool(part)
        and part not in (".", "..")
        and not part.endswith((".", " "))
        and not any(c in '<>:"|?*\\/' or unicodedata.category(c) in UNSEEN for c in part)
        and stem not in DEVICES
        and len(part.encode()) <= 255
        and len(part.encode("utf-16-le")) <= 2 * 255
    )


@fuzzed
@given(TEXT, st.integers(32, MAX_PART), st.booleans())
@example("COM\u00b2 .txt", 255, True)
@example("\ud800", 32, False)
def test_what_is_made_is_safe(text: str, limit: int, keep: bool) -> None:
    part = safe_part(text, limit=limit, keep_suffix=keep)
    assert is_storable(part)
    assert len(part.encode()) <= limit
    assert problem_of(part) is None
    assert safe_part(part, limit=limit, keep_suffix=keep) == part, "it changes what it made itself"
    assert unicodedata.is_normalized("NFC", part)


@fuzzed
@given(TEXT)
def test_what_is_asked_for_is_safe_or_refused(name: str) -> None:
    problem = problem_of(name)
    if problem is None:
        assert all(map(is_storable, name.split("/")))
        assert os.path.normpath(name) == name
        assert name.split("/")[0].casefold() != ".argosy"
    else:
        assert problem.isprintable(), "the message itself can be shown"


@fuzzed
@given(TEXT, TEXT)
def test_two_texts_get_two_names(one: str, other: str) -> None:
    first, second = safe_part(one), safe_part(other)
    if collision_key(first) == collision_key(second) and first not in (one, other) and second not in (one, other):
        normal = unicodedata.normalize("NFC", one), unicodedata.normalize("NFC", other)
        assert collision_key(normal[0]) == collision_key(normal[1])


@fuzzed
@given(TEXT)
def test_a_collision_key_is_one_for_all_forms_and_cases(text: str) -> None:
    key = collision_key(text)
    for form in ("NFC", "NFD"):
        assert collision_key(unicodedata.normalize(form, text)) == key
    assert collision_key(key) == key


@fuzzed
@given(TEXT)
def test_a_disk_takes_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "names"
    folder.mkdir(exist_ok=True)
    path = folder / safe_part(text)
    path.write_bytes(b"x")
    assert path.resolve().parent == folder.resolve()
    assert path.name in os.listdir(folder)
    path.unlink()


URL = made_of(
    "http://", "https://", "h", "library.example", ":", "80", "99999", "/", "//", "@", "user:pw@", "?", "#", "&", "=",
    "%2f", "%2e%2e", "%00", "%e9", "%ff", "..", ";", "jsessionid=", "token=", "secret", "[::1]", "[", "\\", "\r\n",
    " ", "\u202e", "file:", "javascript:", "\u00e9", "x" * 300,
)  # fmt: skip


@fuzzed
@given(st.sampled_from(["http://h/", "https://library.example:8443/a/", ""]), URL | TEXT)
def test_urls(start: str, text: str) -> None:
    url = start + text
    problem = check_url(url)
    redact_url(url)
    if problem is not None:
        assert problem.isprintable()
        return
    assert not any(unicodedata.category(c) in UNSEEN for c in url)
    assert is_storable(file_name(url))
    full = full_path(url)
    assert problem_of(full) is None
    assert not Path(full).is_absolute()


@fuzzed
@given(st.text(min_size=4, max_size=30), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_never_left(secret: str, before: str, behind: str) -> None:
    redactor = Redactor()
    around = f"{before} {behind}"
    # an escape is no leak: a NUL is shown as \u0000, whether or not the secret is 0000
    assume(redactor.scrub(around).count(secret) <= around.count(secret))
    redactor.add(secret)
    shown = redactor.scrub(f"{before}{secret}{behind}")
    # what is left may spell it anew only with the stars that stand for it
    assert secret not in shown or "***" in secret or "*" in secret
    assert redactor.scrub({"a": [secret]}) == {"a": [redactor.scrub(secret)]}
