"""What becomes of tag soup: one case a line, what a service serves and what stands in the book."""

from __future__ import annotations

from pathlib import Path

import pytest

from books import Book, make, png, staged
from hard_books import DATA_URL, GIF, WEBP

FILES: dict[str, str | bytes] = {
    "two.html": "<h1>Two</h1><p id=there>x<p id='ä b'>y",
    "img/a b.png": png(),
    "img/w.jpg": WEBP,
    "img/plate.tif": b"II*\x00" + bytes(30),
    "clip.mp3": b"ID3" + bytes(30),
}

CASES = {
    # what runs, spies or asks
    "<p onclick=x()>a<script>b</script><style>i{}</style>": "<p>a</p>",
    "<form action=/x>Name <input name=q><button>Go</button></form>": "<div>Name Go</div>",
    "<img src=https://t.example/p.gif width=1 height=1>": "",
    "<iframe src='https://v.example/1' title='A film'></iframe>": '<a href="https://v.example/1">A film</a>',
    "<a href=javascript:x()>a</a><a href=' java\nscript:x()'>b</a>": "ab",
    "<noscript><p>a</noscript><template><p>b</template>": "<p>a</p>",
    # links
    "<a href=two.html>a</a>": '<a href="chapter-0002.xhtml">a</a>',
    "<a href='./two.html?x=1#there'>a</a>": '<a href="chapter-0002.xhtml#there">a</a>',
    "<a href='two.html#gone'>a</a>": '<a href="chapter-0002.xhtml">a</a>',
    "<a href='#gone' class=x>a</a><a name=here></a><a href=#here>b</a>": '<a class="x">a</a><a id="here"/><a href="#here">b</a>',
    "<a href='https://library.example/books/b1/two.html'>a</a>": '<a href="chapter-0002.xhtml">a</a>',
    "<a href='http://library.example/books/b1/two.html'>a</a>": '<a href="chapter-0002.xhtml">a</a>',
    "<base href='/books/b1/img/'><a href=../two.html>a</a>": '<a href="chapter-0002.xhtml">a</a>',
    "<a href=other.html>a</a>": '<a href="https://library.example/books/b1/other.html">a</a>',
    "<a href='https://u:pw@x.example/ä b?c=d e'>a</a>": '<a href="https://x.example/%C3%A4%20b?c=d%20e">a</a>',
    "<a href='img/a b.png'>a</a>": "a",
    "<a href='mailto:a@b.example'>a</a>": '<a href="mailto:a@b.example">a</a>',
    "<a href='http://[::1'>a</a><a href='//x:99999/'>b</a>": "ab",
    # images
    "<img src='img/a%20b.png'>": '<img src="image-0001.png" alt=""/>',
    "<img src='img/w.jpg' alt=w>": '<img src="image-0002.webp" alt="w"/>',
    "<img src=https://x.example/1.png alt='A ship'>": "<span>A ship</span>",
    "<img src=img/plate.tif alt='Plate 1'>": "<span>Plate 1</span>",
    "<img srcset='gone.png 2x, img/a%20b.png 1x'>": '<img src="image-0001.png" alt=""/>',
    f"<img src='{DATA_URL}' data-src='img/a b.png'>": '<img src="image-0001.png" alt=""/>',
    f"<img src='{DATA_URL}'>": '<img src="image-0003.png" alt=""/>',
    "<picture><source srcset='img/w.jpg'><img src=gone.png alt=a></picture>": '<img src="image-0002.webp" alt="a"/>',
    "<object data='img/a b.png'>words</object>": '<img src="image-0001.png" alt="words"/>',
    "<audio src=clip.mp3></audio>": '<audio src="audio-0001.mp3" controls="controls"/>',
    "<video src=https://v.example/v.mp4><p>None</video>": "<p>None</p>",
    # places
    "<p>a<div>b</div>c": "<p>a</p><div>b</div>c",
    "<b><p>a</p><ul><li>b</ul></b>": '<div style="font-weight: bold"><p>a</p><ul><li>b</li></ul></div>',
    "<b><p>a</b>": "<b/><p><b>a</b></p>",
    "<h1><div>a</div></h1>": '<h1 id="heading-1"><span style="display: block">a</span></h1>',
    "<ul>a<li>b<ul><li>c</ul><ol><li>d</ol></ul>": '<ul><li style="list-style-type: none">a</li>'
    "<li>b<ul><li>c</li></ul><ol><li>d</li></ol></li></ul>",
    "<li>a</li><dt>b": "<div>a</div><div>b</div>",
    "<dl><div><dt>a<dd>b</div></dl>": "<dl><dt>a</dt><dd>b</dd></dl>",
    "<table><tr><td colspan=0 rowspan=2>a": '<table><tbody><tr><td rowspan="2">a</td></tr></tbody></table>',
    "<details><p>a</details>": "<div><p>a</p></div>",
    "<my-tag foo=bar>a<other-tag class=x>b": 'a<span class="x">b</span>',
    "<center><font color=red>a</font></center>": '<div style="text-align: center"><span style="color: red">a</span></div>',
    # names
    "<p id=x>a<p id=x>b<p id='1 2'>c": '<p id="x">a</p><p>b</p><p id="xf71998fe363b9c29">c</p>',
    "<p lang=de-AT>a<p lang='no language'>b<p dir=RTL>c": '<p lang="de-AT" xml:lang="de-AT">a</p><p>b</p><p dir="rtl">c</p>',
    "a &lt; b &amp;&nbsp;&eacute; &#0;&#xFFFF;\x01\x0b": "a &lt; b &amp;\xa0é �",
    "<a epub:type=noteref href=#n>1</a><p id=n>": '<a epub:type="noteref" href="#n">1</a><p id="n"/>',
    # drawings and formulas
    "<svg viewBox='0 0 1 1' onload=x()><script>x</script><circle r=1 foo=1 /><rect /></svg>": '<svg xmlns="http://www.w3.org/2000/svg" '
    'viewBox="0 0 1 1"><circle r="1"/></svg>',
    "<svg><use href=#gone></use><use href=x.svg#y></use></svg>": '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>',
    "<math><mfrac><mi>a</mi></mfrac></math>": '<math xmlns="http://www.w3.org/1998/Math/MathML"><mfrac><mi>a</mi><mrow/></mfrac></math>',
}  # fmt: skip


def cleaned(soup: str | bytes, folder: Path) -> Book:
    return make(staged(folder / "in", {"one.html": soup, **FILES}), folder / "out")


@pytest.mark.parametrize(("soup", "clean"), CASES.items(), ids=[soup[:40] for soup in CASES])
def test_soup(soup: str, clean: str, tmp_path: Path) -> None:
    book = cleaned(soup, tmp_path)
    book.xml("chapter-0001.xhtml")
    assert book.body().strip("\n") == clean


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<meta charset=utf-8>é".encode(), "é"),
        ("é".encode(), "é"),
        ("<meta charset=iso-8859-1>“é”".encode(), "“é”"),  # it says so, and is not
        ("“é” €".encode("cp1252"), "“é” €"),
        ("<meta charset=iso-8859-1>“é”".encode("cp1252"), "“é”"),
        ("<meta http-equiv=content-type content='text/html; charset=koi8-r'>мир".encode("koi8-r"), "мир"),
        ("<?xml version='1.0' encoding='shift_jis'?><p>漢字</p>".encode("shift_jis"), "<p>漢字</p>"),
        ("<meta charset=no-such-thing>é".encode("latin-1"), "é"),
        ("\ufeff<p>é".encode("utf-16-le"), "<p>é</p>"),
        ("\ufeff<p>é".encode("utf-16-be"), "<p>é</p>"),
        ("<p>é".encode("utf-16-le"), "<p>é</p>"),
        ("\ufeffé".encode(), "é"),
    ],
)
def test_the_encoding_is_found_out(data: bytes, text: str, tmp_path: Path) -> None:
    assert cleaned(data, tmp_path).body() == text


def test_xhtml_may_close_any_element_at_once(tmp_path: Path) -> None:
    page = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x"/></head>
    <body><a id="x"/><p>1 <![CDATA[< 2 &]]></p><br/></body></html>"""
    assert cleaned(page, tmp_path).body().strip() == '<a id="x"/><p>1 &lt; 2 &amp;</p><br/>'


def test_styles_of_the_book_are_linked_and_others_are_not(tmp_path: Path) -> None:
    page = """<link rel=stylesheet href=a.css><link rel=stylesheet href=https://x.example/b.css><link rel=icon href=a.css>
    <link rel=stylesheet media=print href=c.css><style>p { color: red } b { background: url(https://x.example/y) }</style><p>x"""
    files = {"one.html": page, "a.css": "i { color: red }", "c.css": "p { color: blue }"}
    text = make(staged(tmp_path / "in", files), tmp_path / "out").read("chapter-0001.xhtml")
    assert text.count("<link") == 2
    assert 'href="style-0001.css"' in text
    assert (
        '<style type="text/css">p { color: red }\n</style><link rel="stylesheet" type="text/css" href="reading.css"/>'
        in text
    )


def test_an_image_is_what_its_bytes_say(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "1.html": "x",
        "a.jpg": GIF,
        "b.gif": b"\xff\xd8\xff\xe0" + bytes(9),
        "c": png(),
        "d.png": b"<svg xmlns='x'/>",
        "e.webp": WEBP,
    }
    files |= {"f.png": b"\x00\x00\x00\x1cftypavif" + bytes(9), "g.jpg": b"<html><p>Not found</p></html>"}
    book = make(staged(tmp_path / "in", files), tmp_path / "out")
    types = {
        name: entry["media-type"]
        for name, entry in book.manifest().items()
        if name.startswith(("image", "chapter-0002"))
    }
    assert list(types.values())[1:] == ["image/gif", "image/jpeg", "image/png", "image/svg+xml", "image/webp"]
    assert list(types) == ["chapter-0002.xhtml"] + [
        f"image-000{n}.{s}" for n, s in enumerate(["gif", "jpg", "png", "svg", "webp"], 1)
    ]
    assert any("f.png (image/avif is not allowed in an EPUB)" in notice for notice in book.notices)


def test_a_drawing_is_cleaned_too(tmp_path: Path) -> None:
    drawing = """<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" xmlns:x="y" onload="x()" x:z="1">
    <script>x()</script><image xlink:href="https://x.example/p.png" width="1" height="1"/><path d="M0 0" fill="url(#g)"/></svg>"""
    book = make(staged(tmp_path / "in", {"1.html": "<img src=a.svg>", "a.svg": drawing}), tmp_path / "out")
    assert [e.tag.rpartition("}")[2] for e in book.xml("image-0001.svg").iter()] == ["svg", "path"]
    assert "x.example" not in book.read("image-0001.svg")
    assert 'fill="url(#g)"' in book.read("image-0001.svg")
