"""What a chapter or a style sheet of hostile markup may take: a short text can become a huge tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import TransferError
from argosy_epub import bounds
from argosy_epub.chapters import _headings
from argosy_epub.styles import LARGEST_SHEET, clean_declarations, clean_sheet
from argosy_epub.tree import Element
from books import make, staged


def reopened(formatting: str, number: int, paragraphs: int) -> str:
    """Return markup in which unclosed elements are made again in each of some paragraphs."""
    return f"<div>{''.join(formatting.format(n) for n in range(number))}</div>{'<p>x</p>' * paragraphs}"


@pytest.mark.parametrize(
    "markup",
    [
        "<b><p>" * 333_000,
        "<!---->" * 600_000,
        reopened("<b id=b{}>", 30, 60),
        reopened("<b " + " ".join(f"a{n}" for n in range(100)) + ">", 3, 60),
        reopened(f'<b title="{"x" * 20_000}{{}}">', 3, 20),
        reopened("<b id=b{}>", 30, 1).replace("<p>x</p>", "<i><p>x</i>" * 600),
    ],
    ids=["2-MB", "comments", "reopened", "attributes", "long-attributes", "misnested"],
)
def test_a_chapter_whose_tree_is_too_large_fails_its_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, markup: str
) -> None:
    item = staged(tmp_path / "in", {"1.html": "<h1>One</h1>", "2.html": markup})
    if len(markup) < 100_000:
        make(item, tmp_path / "whole")
        monkeypatch.setattr(bounds, "MOST_ELEMENTS", 1000)  # in small, as it takes seconds to reach
    with pytest.raises(TransferError, match=r"the chapter '2\.html': its markup has more than") as caught:
        make(item, tmp_path / "out")
    assert (caught.value.kind, caught.value.hint) == ("content", "Use another output for this item.")


def test_a_chapter_that_takes_too_long_fails_its_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_SECONDS", 0.0)
    item = staged(tmp_path / "in", {"1.html": "<h1>One</h1>"})
    with pytest.raises(TransferError, match=r"'1\.html': its markup takes more than 0 seconds to parse"):
        make(item, tmp_path / "out")


def test_a_drawing_whose_tree_is_too_large_is_left_out(tmp_path: Path) -> None:
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg">{"<g>" * 510_000}</svg>'
    files: dict[str, str | bytes] = {"1.html": "<h1>One</h1><img src=a.svg>", "a.svg": drawing}
    book = make(staged(tmp_path / "in", files), tmp_path / "out")
    assert book.notices == ["The EPUB of 'A book': left out a.svg (its markup has more than 250,000 elements)."]


def test_style_sheets_that_are_too_large_are_left_out(tmp_path: Path) -> None:
    sheet = "p { color: red }" + " " * LARGEST_SHEET
    page = f"<title>One</title><style>{sheet}</style><link rel=stylesheet href=a.css><p>text"
    book = make(staged(tmp_path / "in", {"1.html": page, "a.css": sheet}), tmp_path / "out")
    assert book.notices == [
        "The EPUB of 'A book': left out a.css (more than 2 MiB of text/css), a style sheet in 1.html (more than 2 MiB)."
    ]
    assert "text" in book.body()


@pytest.mark.parametrize(
    "tag",
    ["<desc>", "<annotation-xml>", "<form><button><object>", "<span><a>", "<video>", "<picture><iframe>"],
)
def test_markup_may_be_nested_as_deep_as_one_likes(tmp_path: Path, tag: str) -> None:
    item = staged(tmp_path / "in", {"1.html": f"<p>before{tag * 3000}inside"})
    body = make(item, tmp_path / "out").body()
    assert "before" in body
    assert "inside" in body or tag in ("<video>", "<picture><iframe>")


@pytest.mark.torture(90)
def test_variables_within_each_other_take_no_longer_than_their_text() -> None:
    """Each level once took twice the time of the one in it: forty levels, some days."""
    style = f"color: {'var(--x, ' * 40}red{')' * 40}; margin: {'calc(var(--x, ' * 20}1px{'))' * 20}"
    assert clean_declarations(style, lambda address, wanted: None).startswith("color: red; margin: calc(")


@pytest.mark.torture(90)
def test_variables_make_no_sheet_much_longer() -> None:
    value = "x" * 900
    sheet = f":root {{ --a: {value} }} b {{ content: {'var(--a) ' * 10} }} i {{ content: {'var(--a) ' * 5000} }}"
    clean = clean_sheet(sheet, lambda address, wanted: None)
    assert clean.count(value) == 10, "a declaration that makes the sheet too long is left out"


def test_a_free_id_is_looked_for_once() -> None:
    """A chapter that has all the ids that headings would get must not cost each heading a look at all of them."""

    class Counting(set[str]):
        looks = 0

        def __contains__(self, value: object) -> bool:
            self.looks += 1
            return super().__contains__(value)

    number = 500
    ids = Counting(f"heading-{n}" for n in range(1, number + 1))
    body = Element("body", {}, [Element("h2", {}, ["x"]) for _ in range(number)])
    found = [own for _, own, _ in _headings(body, ids)]
    assert found == [f"heading-{n}" for n in range(number + 1, 2 * number + 1)]
    assert ids.looks < 4 * number
