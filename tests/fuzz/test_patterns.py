"""Regular expressions, and the reading of pages: none takes time that is quadratic in the length of a hostile text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from argosy.toolkit.forms import parse_page
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.urls import redact_url
from patterns import all_patterns, hard_texts

pytestmark = pytest.mark.slow

SHORT, LONG = 100, 1600
#: A linear search takes 16 times as long for the long text, and a quadratic one 256 times.
MOST = 64
#: Seconds that are too short to be measured, and that nobody minds.
NOTHING = 0.005
#: They see no more than 4 kB of a text.
BOUNDED = ("argosy_epub.decoding._DECLARED",)


def cost(function: Callable[[Any], object], text: Any) -> float:
    """Return the processor time of a call: of this thread alone, so that a busy machine does not count."""
    begun = time.thread_time()
    function(text)
    return time.thread_time() - begun


def is_steep(function: Callable[[Any], object], short: Any, long: Any, most: float = MOST) -> bool:
    for _ in range(3):  # it must be steep each time: once may be the cache of the processor
        took = cost(function, long)
        if took < NOTHING or took < most * cost(function, short):
            return False
    return True


def test_no_pattern_is_quadratic() -> None:
    found = []
    patterns = all_patterns()
    assert len(patterns) > 80
    for place, (pattern, anchored) in patterns.items():
        search = pattern.match if anchored else pattern.findall
        texts = zip(hard_texts(pattern, SHORT), hard_texts(pattern, LONG), strict=True)
        if not place.startswith(BOUNDED):
            found += [f"{place}: {long[:40]!r}" for short, long in texts if is_steep(search, short, long)][:1]
    assert found == []


WORDS = ("<", "<!--", "<!--a-->", "<a ", "<!", "<![", "</a", "</", "<a b='", "<a b=\"'", "<textarea>", "<title><", "<?",
         "&#", "<script></script", "<a =", "'\"<a b=\"", "<!-->", "<form><input name=a value=", "<a/", "<p a=b", "\x00<")  # fmt: skip


@pytest.mark.torture(100)
@pytest.mark.parametrize("word", WORDS)
def test_no_page_takes_a_minute(word: str) -> None:
    short, long = (word * (size // len(word)) for size in (4_000, 64_000))
    assert not is_steep(parse_page, short, long)


@pytest.mark.torture(100)
@pytest.mark.parametrize("word", ["a", "a://b'", "'", "?", "?a", ";", "//", "://", "a=", "@", "a;b", "%41"])
def test_no_url_takes_a_minute(word: str) -> None:
    redactor = Redactor()
    for before in ("", "https://library.example/", "https://library.example/?"):
        short, long = (before + word * (size // len(word)) for size in (4_000, 64_000))
        assert not is_steep(redactor.scrub, short, long)
        assert not is_steep(redact_url, short, long)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see 'https://u:p@h.example/a?token=1'.", "see 'https://***@h.example/a?token=***'."),
        ("(https://h.example/?a??token=1&b=2)", "(https://h.example/?a??token=***&b=2)"),
        ("https://h.example/;jsessionid=1, and", "https://h.example/;jsessionid=***, and"),
        ("https://h.example/?" + "n" * 5000 + "=1", "https://h.example/?" + "n" * 5000 + "=***"),
        ("a ://b", "a ://b"),
        ("https://", "https://"),
    ],
)
def test_what_a_url_becomes(text: str, shown: str) -> None:
    assert Redactor().scrub(text) == shown


def test_a_character_reference_with_thousands_of_digits() -> None:
    (form,) = parse_page("<form><input name=a value='&#" + "9" * 5000 + ";&amp;'></form>").forms
    assert form.fields == [("a", "\ufffd&")]
