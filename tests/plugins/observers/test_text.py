"""What others wrote, made safe for a terminal."""

from __future__ import annotations

import pytest

from argosy_plugins.observers._text import safe_text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("A plain title", "A plain title"),
        ("Ünï 日本語 [bold]", "Ünï 日本語 [bold]"),
        ("two\r\nlines\tand a\u00a0space ", "two lines and a space"),
        ("\x1b[2J\x07\x7f\x9b1m", "\\x1b[2J\\x07\\x7f\\x9b1m"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "abcde"),
        ("क्\u200cष", "क्\u200cष"),
        ("👩\u200d🚀 ❤\ufe0f", "👩🚀 ❤"),
        ("\udc80", "\\udc80"),
        ("a\u2028b\x1cc", "a b c"),
        ("", ""),
    ],
)
def test_nothing_steers_the_terminal(given: str, shown: str) -> None:
    assert safe_text(given) == shown


def test_long_text_is_cut() -> None:
    assert safe_text("x" * 5000, 10) == "xxxxxxxxx…"
