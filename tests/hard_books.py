"""Books as services really serve them, and worse."""

from __future__ import annotations

import base64

from books import png

#: The smallest WebP and GIF that there are, near enough.
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
AVIF = b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1" + bytes(64)
TIFF = b"II*\x00\x08\x00\x00\x00" + bytes(32)
DATA_URL = "data:image/png;base64," + base64.b64encode(png(3, 3)).decode()

SOUP = """<!doctype html><html lang=en-GB onload="evil()"><head><title>Tag soup - A shop</title>
<script src="https://tracker.example/t.js"></script><link rel=stylesheet href="css/main style.css">
<link rel=stylesheet href="https://cdn.example/remote.css"><link rel="alternate stylesheet" href="css/other.css">
<style>p{color:red;background:url(https://cdn.example/x.png)} .a{background:url(img/one%20picture.png)} }</style>
<meta http-equiv=refresh content="0;url=https://evil.example"></head>
<body bgcolor=#ffffff onclick='x()' background="https://cdn.example/b.png">
<h1><div>Tag soup</div></h1><a name=top></a><a id="here" name=here>x</a><p id=here>Twice <b>bold <i>both</b> italic</i>
<p align=center>Unclosed &nbsp; &copy; &bogus; &#1; &#xD800; <font color=red size=+2 face=Arial>font</font> <center>centre</center>
<span><div>A block <table><tr><td colspan=0 width="50%" align=right>cell<td nowrap>two</table> in a line</div></span>
<b><p>bold paragraph</p><ul><li>in it</ul></b>
<ul>stray<li>one<ul><li>inner</ul><ul><li>nested wrongly</ul></ul><li>orphan</li><dd>orphan too</dd>
<ol start=x type=Z><li value=3>three<li value=q>q</ol>
<dl><dd>no term<dt>term<dt>two</dl><dl><div><dt>a</dt><dd>b</dd></div><p>stray</p></dl>
<table border=1><caption>One</caption><caption>Two</caption><tfoot><tr><td>foot</tfoot><form><tr><td>1<table><tr><td>in</table></form></table>
<form action=/buy><label for=q>Name</label><input name=q><select><option>x</select><button onclick=x()>Press</button>
<textarea>Text</textarea></form>
<iframe src="https://video.example/embed/1" title="A film"></iframe><iframe src="javascript:x()"></iframe>
<object data="img/one%20picture.png">picture</object><object data=x.swf><embed src=y.swf>fallback</object>
<img src="https://tracker.example/pixel.gif" width=1 height=1><img src="https://cdn.example/p.png" alt="A lost &amp; picture">
<img src="img/one picture.png" srcset="https://cdn.example/2.png 2x" width="100px" height=50% usemap="#m" alt="">
<img srcset="https://x/1.png 1x, img/bild-%C3%BC.png 2x" ismap> <img data-src="img/one%20picture.png" src="data:image/gif;base64,R0lGOD">
<picture><source srcset="img/new.avif" type=image/avif><source srcset="img/new.webp"><img alt="a picture" src="img/gone.png"></picture>
<map name=m><area href=x coords=1,2></map>
<video src="https://video.example/v.mp4" controls>No video</video><audio src=https://a.example/s.mp3></audio>
<a href="chapter%202.html#s%C3%A9ction">next</a> <a href="chapter 2.html#nowhere">missing place</a> <a href="#gone">gone</a>
<a href="./chapter%202.html?utm_source=x">with a query</a> <a href="https://library.example/books/b1/chapter 2.html">absolute</a>
<a href="../elsewhere/page.html">outside</a> <a href="javascript:alert(1)">script</a> <a href="https://ex ample/x y">bad host</a>
<a href="http://user:secret@example.org/ä?q=a b#f g">web</a> <a href="mailto:a@b.example">mail</a> <a href="img/new.webp">image</a>
<a href="//[::1">bad</a> <a href=http://a:99999/>port</a> <a href="x.html"><table><tr><td><a href=y.html>nested</a></table></a>
<details><p>no summary</details><details><summary><h2>Sum</h2></summary>text</details>
<figure><img src="img/one%20picture.png"><figcaption>1</figcaption>x<figcaption>2</figcaption></figure>
<ruby>漢<rp>(<rt>kan<rp>)</ruby><ruby><rt>x</ruby><bdo>no dir</bdo><time>soon</time><data value=1>d</data><nobr>n</nobr>
<my-element on:click=x @y=z a"b=c 1x=2>custom <big>big</big></my-element><hgroup><h2>H</h2><p>sub</p></hgroup>
<main><header><header>h</header><footer>f</footer></header><main>two</main></main><address><address>a</address></address>
<p style="color:blue;position:fixed;behavior:url(x.htc);background:url('https://x/y')" class="  a  b " dir=LTR lang="en_bogus!">styled</p>
<pre>code <div>block</div></pre><xmp><b>raw</b></xmp><marquee>m</marquee><hr size=1><br clear=all><wbr>
<noscript><p>without scripts</p></noscript><template><p>not shown</p></template><dfn><dfn>d</dfn></dfn>
<svg viewBox="0 0 10 10" width=10 onload=x()><script>x()</script><defs><linearGradient id=g><stop offset=0 stop-color=red /></linearGradient></defs>
<a xlink:href="javascript:x()"><rect x=0 y=0 width=5 height=5 fill="url(#g)" onclick=x() data-x=y /></a><rect width=3 />
<image href="https://cdn.example/x.png" width=1 height=1 /><image xlink:href="img/one picture.png" width=1 height=1 /><use href="#g"/><use href="other.svg#x"/>
<text x=1 y=1>t<tspan>s</tspan></text><foreignObject><p>foreign</p></foreignObject><style>rect{stroke:url(https://x/y);fill:red}</style></svg>
<math display=block onclick=x()><mfrac><mi mathvariant=bogus>x</mi></mfrac><msup><mi>a</mi><mn>2</mn><mn>3</mn></msup><munderover><mo>&sum;</mo></munderover>
<mtable><mi>q</mi><mtr><mi>r</mi><mtd>s</mtd></mtr></mtable><semantics><mrow>stray</mrow><annotation>no</annotation></semantics><mtext><b>bold</b></mtext><mfenced open="("><mi>z</mi></mfenced></math>
<h7>no such heading</h7></body></html>trailing<p>after the end"""

CHAPTER_2 = (
    b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.1//EN' 'x'>"
    b"<html xmlns='http://www.w3.org/1999/xhtml' xml:lang='de' xmlns:epub='http://www.idpf.org/2007/ops'><head><title/><script src='x'/>"
    b"<base href='https://library.example/books/b1/'/></head><body epub:type='chapter'><a id='empty'/><div/>"
    b"<h2 id='s\xc3\xa9ction'>Zweites</h2><p>1 &lt; 2 <![CDATA[<raw> & ]]></p><h3>Drittes</h3><p id='1 2'>odd id <a href='#1 2'>to it</a>"
    b"<a epub:type='noteref' href='#n1'>1</a></p><aside epub:type='footnote' id='n1'>note</aside></body></html>"
)
LATIN = "<html><head><meta charset=windows-1252><title>Café</title></head><body><p>“naïve” — €</p>".encode("cp1252")
WIDE = "\ufeff<html><head><meta charset=utf-16></head><body><h1>Ünïcödé 漢字</h1></body>".encode("utf-16-le")
SHEET = """@charset "iso-8859-1"; @import url("other.css"); @import "https://cdn.example/x.css"; @namespace x url(y);
:root { --ink: #333; direction: rtl } body { color: var(--ink); font: 1.1rem/1.5 "X Y", serif; unicode-bidi: embed }
h1:is(.a) , h2 > p:hover::before { content: "\\201c"; margin: calc(1em + 2px) }
.pic { background: url(../img/one%20picture.png) no-repeat, url(../img/gone.png) } .ok { background-image: url("../img/one picture.png") }
@font-face { font-family: F; src: url(../fonts/f.woff2) format("woff2"), url(https://cdn.example/f.ttf) } @font-face { font-family: G; src: url(g.ttf) }
@media print { p { display: none } } @media (max-width: 600px) { p { margin: 0 } } @keyframes k { from { top: 0 } } p { {} } } q { color: blue"""
DRAWING = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [
<!ENTITY ns "http://x/">]><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:inkscape="&ns;" viewBox="0 0 9 9"
 inkscape:version="1"><script>x()</script><metadata><rdf/></metadata><g id="a" inkscape:label="l"><path d="M0 0L9 9" stroke="red" style="fill:none"/></g>
<g id="a"><circle r="3"/><image width="1" height="1" xlink:href="https://cdn.example/x.png"/></g></svg>"""

#: A book that has all of it, by the paths of its files.
HARD: dict[str, str | bytes] = {
    "start.html": SOUP,
    "chapter 2.html": CHAPTER_2,
    "latin.htm": LATIN,
    "wide": WIDE,
    "empty.html": b"",
    "rubbish.html": bytes(range(256)) * 4,
    "css/main style.css": SHEET,
    "css/other.css": "@import url(other.css); a { color: green }",
    "img/one picture.png": png(),
    "img/bild-ü.png": png(4, 4),
    "img/wrongly-named.jpg": GIF,
    "img/drawing.svg": DRAWING,
    "img/none.svg": "<svg",
    "img/new.avif": AVIF,
    "img/plate.tif": TIFF,
    "img/cover.png": png(60, 90, 200),
    "book.pdf": b"%PDF-1.7",
    "app.js": "alert(1)",
}
HARD_METADATA = {
    "authors": ["Ada <Lovelace>", {"name": "Charles & Co"}],
    "language": "en",
    "publisher": "P",
    "date": "2024-02",
    "description": "<p>text & more</p>",
    "rights": "CC0",
    "series": "S",
    "series_index": 2,
    "isbn": "978-3-16-148410-0",
}
