"""Rubbish in chapters, drawings and styles: a book comes of it all the same, and nothing in it leads nowhere."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy_epub.styles import clean_declarations, clean_sheet
from books import Book, make, png, staged
from rubbish import fuzzed, made_of
from soup import words

pytestmark = pytest.mark.slow

_URL = re.compile(r"(?<![\w-])url\(", re.I)
SOUP = made_of(
    *(f"<{name}>" for name in words("a p b i div span table tr td th ul li dl dt dd h1 pre ruby rt svg math mi mfrac")),
    *(f"</{name}>" for name in words("a p b i div span table tr td ul li dl h1 pre svg math body html")),
    *("<a href='", "#x", "'", ">", "two.html", "<p id=x>", "<img src=p.png alt='", "<svg><use href=#x>", "&nbsp;", "&#0;", "<!--"),
    *("-->", "<![CDATA[", "]]>", "<?xml?>", "<html xmlns='x'>", "<title/>", "<style>", "</style>", "<base href='", "http://h/"),
    *("<caption>", "<details>", "<summary>", "<figcaption>", "<select><option>", "<template>", "<iframe src=x>", "<frameset>"),
    *("<math><mtext>", "<svg><foreignObject>", "<annotation-xml encoding=text/html>", " style='color:", "url(", ")", "\x00", "\x01"),
    *("1\x02x\x03", "<plaintext>", "<a name=x>", "<object data=", "<video src=", "srcset='p.png 2x,'", "<hr/>", "é", "\ud800", "😀"),
    most=30,
)  # fmt: skip
BYTES = st.binary(max_size=300) | SOUP.map(lambda text: text.encode("utf-8", "surrogatepass"))
BYTES |= SOUP.map(lambda text: b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass"))
STYLE = made_of(
    *("p", "{", "}", "color", ":", ";", "red", "url(", ")", "'", '"', "@media", "@import", "@font-face", "src", "var(--x", "--x"),
    *(":root", ",", "calc(", "(", "[", "]", "<!--", "-->", "/*", "*/", "\\", "!important", "font", "1em", "/", " ", "\n", "::", "@"),
)  # fmt: skip


@fuzzed
@given(BYTES, BYTES, STYLE)
@example(b"<p>" + b"<div>" * 5000 + b"deep", b"<svg>" * 3000 + b"<text>deep", "p{" * 5000)
@example(
    b"<!--a-->" * 9000, b"<?xml?>" + b"<![CDATA[" * 9000, ":root { --a: " + "var(--a) " * 9000
)  # no search runs away
@example(b"<table><caption><table><tr><td><a href=#x><a>", b"<math><mtable><mtd><mtr>", "")
def test_any_chapter_gives_a_book(one: bytes, two: bytes, style: str) -> None:
    files: dict[str, str | bytes] = {
        "one.html": one,
        "two.html": two,
        "p.png": png(),
        "d.svg": b"<svg>" + one,
    }
    files["3.html"] = "a chapter, whatever the others are"
    files["s.css"] = style.encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        book = make(staged(Path(folder) / "in", files), Path(folder) / "out")
        assert_whole(book)


def assert_whole(book: Book) -> None:
    """Every file is well-formed, every file is listed, and every reference leads to something."""
    names = {name.removeprefix("EPUB/") for name in book.names() if name.startswith("EPUB/")}
    assert set(book.manifest()) == names - {"package.opf"}
    trees = {name: book.xml(name) for name in names if name.endswith((".xhtml", ".svg", ".opf", ".ncx"))}
    ids = {name: [e.attrib["id"] for e in tree.iter() if "id" in e.attrib] for name, tree in trees.items()}
    assert all(len(found) == len(set(found)) for found in ids.values())
    for name, tree in trees.items():
        for element in tree.iter():
            for key in ("href", "src", "{http://www.w3.org/1999/xlink}href"):
                address = element.attrib.get(key)
                if address is None or (element.tag.endswith("}a") and re.match("(?:https?|mailto|tel):", address)):
                    continue
                file, fragment = urldefrag(address)
                assert (file or name) in names, (name, element.tag, address)
                assert not fragment or unquote(fragment) in ids[file or name], (name, element.tag, address)


@fuzzed
@given(STYLE)
@example("p { color: " + "(" * 20000)
@example(":root { --a: var(--a) var(--b); --b: var(--a) } p { color: var(--b) }")
def test_styles_refer_to_nothing_and_stay_as_they_are(style: str) -> None:
    for clean in (clean_sheet, clean_declarations):
        once = clean(style, lambda address, wanted: None)
        assert not _URL.search(once.replace("\\", "")) or "'" in once or '"' in once  # but in a string
        assert clean(once, lambda address, wanted: None) == once
