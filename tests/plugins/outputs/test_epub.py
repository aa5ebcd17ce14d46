"""The output `epub`: what is in a book, in which order, and what it says of itself."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from argosy import PluginContext
from argosy.errors import TransferError
from argosy.toolkit.names import problem_of, safe_part
from argosy_epub.output import EpubOutput
from books import OPF, XHTML, Book, make, options, png, staged

NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"


def book_of(root: Path, files: dict[str, str | bytes], **about: Any) -> Book:
    given = {name: about.pop(name) for name in ("cover", "headings", "language", "layout") if name in about}
    return make(staged(root / "in", files, **about), root / "out", **given)


def contents(book: Book) -> list[tuple[str, str]]:
    """Return address and text of all links of the table of contents, in order."""
    nav = next(nav for nav in book.xml("nav.xhtml").iter(f"{XHTML}nav") if nav.get(EPUB_TYPE) == "toc")
    return [(a.attrib["href"], a.text or "") for a in nav.iter(f"{XHTML}a")]


def test_chapters_stand_in_the_order_of_the_resources(tmp_path: Path) -> None:
    names = ["z.html", "a.html", "m/10.xhtml", "m/9.html"]
    book = book_of(tmp_path, {name: f"<h1>{name}</h1>" for name in names})
    spine = [ref.attrib["idref"] for ref in book.xml("package.opf").iter(f"{OPF}itemref")]
    assert spine == [f"chapter-000{number}" for number in (1, 2, 3, 4)]
    assert contents(book) == [(f"chapter-000{n}.xhtml", name) for n, name in enumerate(names, 1)]
    old = [
        (p.find(f"{NCX}content"), p.find(f"{NCX}navLabel/{NCX}text"))
        for p in book.xml("toc.ncx").iter(f"{NCX}navPoint")
    ]
    assert [(c.attrib["src"], t.text) for c, t in old if c is not None and t is not None] == contents(book)


def test_titles_come_from_the_metadata_the_heading_the_page_or_the_name(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "1.html": "<title>Page</title><h1>Heading</h1>",
        "2.html": "<title>Page - Shop</title><h1> A <b>heading</b>\n </h1><h2>x</h2>",
        "3.html": "<title>Page &amp; Shop</title><h2>x</h2>",
        "4.html": "<p>a</p><h3>Small</h3>",
        "part/five.html": "x",
    }
    book = book_of(tmp_path, files, headings=False, metadata={"toc": {"1.html": "Known"}})
    assert [text for _, text in contents(book)] == ["Known", "A heading", "Page & Shop", "Small", "five"]
    assert book.xml("chapter-0002.xhtml").findtext(f".//{XHTML}title") == "A heading"


def test_headings_are_listed_below_their_chapter(tmp_path: Path) -> None:
    page = "<h1>One</h1><h2>A<h3>a</h3></h2><h2 id=b>B</h2><h3>b</h3>"
    book = book_of(tmp_path, {"1.html": page, "2.html": "<h1>Two</h1>"})
    listed = [("", "One"), ("#heading-2", "A"), ("#b", "B")]
    assert contents(book) == [
        *((f"chapter-0001.xhtml{a}", t) for a, t in listed),
        ("chapter-0002.xhtml", "Two"),
    ]


def test_what_the_item_says_of_its_book(tmp_path: Path) -> None:
    known = {
        "author": "Ada",
        "contributors": [{"name": "Ben"}, "Cy"],
        "language": "en_GB",
        "publisher": "P & Q",
        "date": "1843-10-01T00:00:00Z",
        "description": " A\nnote ",
        "license": "CC0",
        "subjects": ["Engines"],
        "modified": "2024-05-06T07:08:09+02:00",
        "python": {"anything": 1},
    }
    book = book_of(tmp_path, {"1.html": "x"}, title=" A \x07title ", tags=["Maths", "Engines"], metadata=known)
    said = {name: book.dublin_core(name) for name in ("title", "creator", "contributor", "language", "publisher")}
    assert list(said.values()) == [["A title"], ["Ada"], ["Ben", "Cy"], ["en-GB"], ["P & Q"]]
    said = {name: book.dublin_core(name) for name in ("date", "description", "rights", "subject")}
    assert list(said.values()) == [["1843-10-01"], ["A note"], ["CC0"], ["Maths", "Engines"]]
    assert '<meta property="dcterms:modified">2024-05-06T05:08:09Z</meta>' in book.read("package.opf")


@pytest.mark.parametrize("value", [None, 7, True, [], {}, [None, {"name": []}], "\ud800", {"a": ["b"]}, "9999-99-99"])
def test_metadata_of_any_form_does_no_harm(value: object, tmp_path: Path) -> None:
    keys = (
        "author",
        "language",
        "date",
        "modified",
        "isbn",
        "toc",
        "cover",
        "series",
        "description",
        "publisher",
    )
    book = book_of(tmp_path, {"1.html": "x"}, metadata=dict.fromkeys(keys, value))
    assert book.dublin_core("language") == ["und"]
    assert "T00:00:00Z</meta>" in book.read("package.opf")


def test_the_language_is_that_of_the_chapters_where_the_item_names_none(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "1.html": "<html lang=de>x",
        "2.html": "<html lang=fr>x",
        "3.html": "<html lang=de>x",
    }
    assert book_of(tmp_path / "a", files).dublin_core("language") == ["de"]
    assert book_of(tmp_path / "b", {"1.html": "x"}, language="pt-BR").dublin_core("language") == ["pt-BR"]
    assert book_of(tmp_path / "c", files, metadata={"language": "nl"}).dublin_core("language") == ["nl"]


def test_the_same_item_gives_the_same_bytes(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"1.html": "<p id=a>x", "c.png": png(), "s.css": "p { color: red }"}
    books = [book_of(tmp_path / name, files, tags=["b", "a"]) for name in "ab"]
    assert books[0].path.read_bytes() == books[1].path.read_bytes()
    other = book_of(tmp_path / "c", files, id="b2")
    assert other.dublin_core("identifier") != books[0].dublin_core("identifier")
    assert books[0].dublin_core("identifier")[0].startswith("urn:uuid:")


@pytest.mark.parametrize(
    ("known", "identifier"),
    [
        ({"isbn": "978-3-16-148410-0"}, "urn:isbn:9783161484100"),
        ({"identifier": "urn:isbn:080442957x"}, "urn:isbn:080442957X"),
        ({"identifier": "https://doi.org/10.1000/182"}, "https://doi.org/10.1000/182"),
        ({"identifier": "12"}, "urn:uuid:"),
    ],
)
def test_the_identifier(known: dict[str, Any], identifier: str, tmp_path: Path) -> None:
    assert book_of(tmp_path, {"1.html": "x"}, metadata=known).dublin_core("identifier")[0].startswith(identifier)


@pytest.mark.parametrize(
    ("given", "known", "cover"),
    [
        ("", {}, "image-0002.png"),
        ("b.png", {}, "image-0003.png"),
        ("", {"cover": "a.png"}, "image-0001.png"),
        ("", {"cover": "https://library.example/books/b1/b.png"}, "image-0003.png"),
        ("none.png", {"cover": "none.png"}, "image-0002.png"),
    ],
)
def test_the_cover(given: str, known: dict[str, Any], cover: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "1.html": "x",
        "a.png": png(),
        "img/Cover.png": png(6, 9),
        "b.png": png(3),
        "discover.png": png(),
    }
    book = book_of(tmp_path, files, cover=given, metadata=known)
    assert [name for name, entry in book.manifest().items() if entry.get("properties") == "cover-image"] == [cover]
    assert f'src="{cover}"' in book.read("cover.xhtml")
    assert next(book.xml("package.opf").iter(f"{OPF}itemref")).attrib["idref"] == "cover"


def test_a_book_with_a_cover_page_gets_no_second_one(tmp_path: Path) -> None:
    book = book_of(tmp_path, {"cover.xhtml": "<img src=cover.png>", "1.html": "x", "cover.png": png()})
    assert "cover.xhtml" not in book.manifest()
    assert book.manifest()["image-0001.png"]["properties"] == "cover-image"


def test_the_container(tmp_path: Path) -> None:
    book = book_of(tmp_path, {"1.html": "x", "a.png": png()})
    with zipfile.ZipFile(book.path) as archive:
        infos = archive.infolist()
        assert archive.testzip() is None
    assert (infos[0].filename, infos[0].compress_type, infos[0].extra) == (
        "mimetype",
        zipfile.ZIP_STORED,
        b"",
    )
    assert book.path.read_bytes()[30:58] == b"mimetypeapplication/epub+zip"  # as its readers look for it
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(("id_", "name"), [("b1", "b1.epub"), ("doi:10.1/x", f"{safe_part('doi:10.1/x')}.epub")])
def test_the_name(id_: str, name: str, tmp_path: Path) -> None:
    assert book_of(tmp_path / "a", {"1.html": "x"}, id=id_).name == name
    assert book_of(tmp_path / "b", {"1.html": "x"}, id=id_, layout="my/books/{id}").name == f"my/books/{name}"
    assert problem_of(book_of(tmp_path / "c", {"1.html": "x"}, id=id_ * 200).name) is None


def test_an_item_without_a_chapter_fails_or_is_left_out(tmp_path: Path) -> None:
    item = staged(tmp_path / "in", {"book.pdf": b"%PDF-1.7", "a.png": png()})
    with pytest.raises(TransferError) as caught:
        make(item, tmp_path / "out")
    assert caught.value.kind == "content"
    assert str(caught.value) == (
        "This item has no HTML chapter for an EPUB (it has .pdf, .png). "
        'Set the option no_chapters to "skip", or leave out this output for such items.'
    )
    output = EpubOutput(options(no_chapters="skip"), PluginContext())
    assert list(output.produce(item, tmp_path)) == []


def test_a_chapter_that_is_too_large_fails_its_item(tmp_path: Path) -> None:
    item = staged(tmp_path / "in", {"1.html": b"x" * (16 << 20) + b"y"})
    with pytest.raises(TransferError, match=r"The chapter '1.html' has more than 16 MiB"):
        make(item, tmp_path / "out")


def test_the_person_is_told_what_is_missing(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "1.html": "x",
        "2.html": "<script>render()</script>",
        "x.js": "",
        "p.tif": b"II*\x00",
        "b.pdf": b"%PDF-",
    }
    files |= {f"{n}.bin": b"\x00" for n in range(9)}
    assert book_of(tmp_path, files).notices == [
        (
            "The EPUB of 'A book': left out p.tif (image/tiff is not allowed in an EPUB), b.pdf (application/pdf is not allowed in an "
            "EPUB), 0.bin (application/octet-stream is not allowed in an EPUB), 1.bin (application/octet-stream is not allowed in an EPUB), "
            "2.bin (application/octet-stream is not allowed in an EPUB) and 6 more."
        ),
        "The EPUB of 'A book': empty: 2.html.",
    ]


def test_a_large_picture_is_not_read_into_memory(tmp_path: Path) -> None:
    size = 40 << 20
    item = staged(tmp_path / "in", {"1.html": "<img src=a.png>", "a.png": png()})
    with item.files[1].path.open("r+b") as file:  # a valid picture, with a chunk that says nothing of 40 MiB
        whole = file.read()
        file.seek(len(whole) - 12)
        file.write(struct.pack(">I", size) + b"teXt")
        file.seek(size, 1)
        file.write(b"\0\0\0\0" + whole[-12:])
    make(item, tmp_path / "first")  # what is imported for it is not its memory
    tracemalloc.start()
    try:
        book = make(item, tmp_path / "out")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert book.path.stat().st_size > size


def test_a_thousand_chapters_with_links_to_each_other(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{n}.html": f"<h1>Chapter {n}</h1><p id=p{n}>x <a href='{(n + 1) % 1000}.html#p{(n + 1) % 1000}'>on</a>"
        for n in range(1000)
    }
    book = book_of(tmp_path, files)
    assert len(contents(book)) == 1000
    assert 'href="chapter-0001.xhtml#p0"' in book.body(1000)
    assert 'href="chapter-1000.xhtml#p999"' in book.body(999)


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['tinycss2'] = None\n"
        "from argosy import download\n"
        "from argosy.errors import ConfigError\n"
        f"try: download({{'source': {{'use': 'urls', 'urls': ['http://127.0.0.1:9/a']}}, 'output': 'epub', 'directory': {str(tmp_path)!r}}})\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == (
        "The output 'epub' needs tinycss2, which is not installed. Install it: pip install 'argosy[epub]'.\n"
    )
