"""Docstrings become readable HTML."""

from __future__ import annotations

import pytest

from argosy_devkit.demo.prose import blocks, inline, to_html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One\ntwo.", [("paragraph", ("One", "two."))]),
        ("Use:\n\n    a = 1\n\n    b = 2", [("paragraph", ("Use:",)), ("code", ("a = 1", "", "b = 2"))]),
        ("Use:\n    x = f(\n        1)", [("paragraph", ("Use:",)), ("code", ("x = f(", "    1)"))]),
        ("Then\n>>> 1 + 1\n2", [("paragraph", ("Then",)), ("code", (">>> 1 + 1", "2"))]),
        ("f(x):\n    Return the list.", [("paragraph", ("f(x):",)), ("note", ("Return the list.",))]),
        ("Title\n=====\nText", [("heading", ("Title",)), ("paragraph", ("Text",))]),
        ("- one\n  more\n- two", [("item", ("one", "  more")), ("item", ("two",))]),
        ("a    first\nbb   second", [("code", ("a    first", "bb   second"))]),
        ("", []),
    ],
)
def test_blocks(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(block.kind, block.lines) for block in blocks(text)] == expected


def test_everything_is_escaped() -> None:
    html = to_html('<b> & "x"\n\n    <script>\n\n- <i>\n\n``<u>``')
    assert "<b>" not in html
    assert "<pre>&lt;script&gt;</pre>" in html
    assert "<ul>\n<li>&lt;i&gt;</li>\n</ul>" in html
    assert "<code>&lt;u&gt;</code>" in html


def test_code_in_a_line() -> None:
    assert inline("see ``a`b`` and :func:`~os.walk` or `x`") == (
        "see <code>a`b</code> and <code>os.walk</code> or <code>x</code>"
    )
    assert inline("it's `odd' and 'even'") == "it&#x27;s `odd&#x27; and &#x27;even&#x27;"
