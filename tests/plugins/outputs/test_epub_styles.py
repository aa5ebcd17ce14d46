"""What becomes of style sheets: one case a line."""

from __future__ import annotations

import pytest

from argosy_epub.styles import clean_declarations, clean_sheet

SHEETS = {
    "p { color: red; } /* x */ b{}": "p { color: red }",
    "p { background: url(a.png) no-repeat }": 'p { background: url("A.PNG") no-repeat }',
    "p { background: url('https://x/gone.png'); color: red }": "p { color: red }",
    '@import "a.css" screen; @import url(gone.css); p { color: red }': '@import "A.CSS" screen;\np { color: red }',
    "@font-face { font-family: F; src: url(a.woff2) format('woff2'), url(gone.ttf) }": '@font-face { font-family: F; src: url("A.WOFF2") }',
    "@font-face { font-family: F; src: url(gone.ttf) }": "",
    "@media print { p { color: red } } @media (min-width: 1px) { p { color: red } }": "@media (min-width: 1px) { p { color: red } }",
    ":root { --ink: #222; --line: 1px solid var(--ink) } p { border: var(--line); color: var(--x, red) }": "p { border: 1px solid #222; color: red }",
    ":root { --a: var(--b); --b: var(--a) } p { color: var(--a); margin: 0 }": "p { margin: 0 }",
    "p { direction: rtl; behavior: url(a.htc); position: fixed; width: expression(x); margin: 0 }": "p { margin: 0 }",
    "p { font: italic bold 1.2rem/1.5 'A B', serif }": "p { font-style: italic; font-variant: normal; font-weight: bold; "
    "font-size: 1.2rem; line-height: 1.5; font-family: \"A B\", serif }",
    "p { font: inherit }": "p { font: inherit }",
    "a:is(.x), b:not(.y)::after, i:has(p), u[a='b' i] { color: red }": "b:not(.y)::after { color: red }",
    "@charset 'x'; @namespace x url(y); @keyframes k { from { top: 0 } } p { color: red !important }": "p { color: red !important }",
    "p { color: } q { : red } } b { color: red": "",
    "<!-- p { color: red } -->": "p { color: red }",
    "@supports (display: grid) { p { margin: calc(1em + (2px * 3)) } }": "@supports (display: grid) { p { margin: calc(1em + (2px * 3)) } }",
}  # fmt: skip


def found(address: str, wanted: str) -> str | None:
    return None if "gone" in address else address.upper()


@pytest.mark.parametrize(("sheet", "clean"), SHEETS.items())
def test_sheets(sheet: str, clean: str) -> None:
    assert clean_sheet(sheet, found).strip() == clean
    assert clean_sheet(sheet.encode(), found).strip() == clean


def test_declarations() -> None:
    style = "color: red; background: url(gone.png); ; position:fixed; x; margin : 0 !important"
    assert clean_declarations(style, found) == "color: red; margin: 0 !important"
    assert clean_declarations("p { color: red }", found) == ""


def test_the_encoding_of_a_sheet() -> None:
    assert (
        clean_sheet('@charset "iso-8859-1"; p { content: "é" }'.encode("latin-1"), found).strip()
        == 'p { content: "é" }'
    )
    assert clean_sheet('p { content: "é" }'.encode(), found).strip() == 'p { content: "é" }'
