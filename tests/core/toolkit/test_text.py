"""What others wrote, made safe for a terminal."""

from __future__ import annotations

import json

import pytest

from argosy.toolkit.text import escape_controls, escape_printed, one_line


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("A plain title", "A plain title"),
        ("Ünï 日本語 [bold]", "Ünï 日本語 [bold]"),
        ("two\r\nlines\tand a\u00a0space ", "two lines and a space"),
        ("\x1b[2J\x07\x7f\x9b1m", "\\u001b[2J\\u0007\\u007f\\u009b1m"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "a\\u202eb\\u2066cde"),
        ("क्\u200cष", "क्\u200cष"),
        ("👩\u200d🚀 ❤\ufe0f", "👩🚀 ❤"),
        ("\udc80", "\\udc80"),
        ("a\u2028b\x1cc", "a b c"),
        ("", ""),
    ],
)
def test_nothing_steers_the_terminal(given: str, shown: str) -> None:
    assert one_line(given) == shown


def test_long_text_is_cut() -> None:
    assert one_line("x" * 5000, 10) == "xxxxxxxxx…"


#: What must not reach a terminal: C0, DEL, C1, separators, bidirectional controls, lone surrogates.
CONTROLS = [
    chr(c)
    for c in (
        *range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F),
        *range(0x2066, 0x206A), 0xDC80,
    )
]  # fmt: skip


def test_all_controls_are_spelled_out_and_json_keeps_its_values() -> None:
    text = "".join(CONTROLS)
    shown = escape_controls(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(escape_controls(json.dumps({"a": text}, ensure_ascii=False))) == {"a": text}
    assert escape_controls(shown) == shown


@pytest.mark.parametrize("text", ["", "a\tb\nc", "Ünï 日本語 👩\u200d🚀 क्\u200cष", "\\u001b"])
def test_what_steers_nothing_stays(text: str) -> None:
    assert escape_controls(text) == escape_printed(text) == text


@pytest.mark.parametrize("text", ["\x1b[1;31mred\x1b[0m", "\r\x1b[2K\x1b[1A", "\x1b[?25l...\x1b[?25h"])
def test_a_display_may_color_and_redraw(text: str) -> None:
    assert escape_printed(text) == text
    assert "\x1b" not in escape_controls(text)


@pytest.mark.parametrize("text", ["\x1b]52;c;cm0=\x07", "\x1bP+q\x1b\\", "\x9b31m", "\x1b[6n", "\u202e"])
def test_nothing_else_is_printed(text: str) -> None:
    assert escape_printed(text).isprintable()
