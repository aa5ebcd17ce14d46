"""The HTML pages of a book."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from argosy_devkit.demo.docstrings import Entry
from argosy_devkit.demo.prose import inline, to_html

STYLE = """\
:root { color-scheme: light dark; --ink: #222; --paper: #fdfcf9; --faint: #6b6b66; --line: #dedbd2;
  --box: #f4f2ec; --link: #7a3b12; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dcd9d2; --paper: #1b1b1a; --faint: #9a978f; --line: #3a3936; --box: #262523; --link: #e3a777; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 44rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 Charter, "Iowan Old Style", Georgia, "DejaVu Serif", serif; overflow-wrap: break-word; }
a { color: var(--link); text-underline-offset: .15em; }
nav { display: flex; justify-content: space-between; gap: 1rem; padding: .5rem 0; color: var(--faint);
  font: .875rem/1.4 system-ui, "DejaVu Sans", sans-serif; border-bottom: 1px solid var(--line); }
nav:last-of-type { border: 0; border-top: 1px solid var(--line); margin-top: 3rem; }
nav > * { flex: 1; } nav > :nth-child(2) { text-align: center; } nav > :last-child { text-align: right; }
h1, h2, h3 { line-height: 1.25; font-weight: 600; }
h1 { font-size: 2.125rem; margin: 2.5rem 0 .25rem; }
h2 { font-size: 1.5rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.0625rem; margin: 2rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1.5rem 0 .375rem; font-weight: normal; }
h3 code, h4 code { color: var(--link); }
p { margin: .5rem 0 .75rem; }
.lead, footer { color: var(--faint); }
.lead { margin-bottom: 2rem; font-style: italic; }
.heading { font-weight: 600; margin-top: 1.25rem; }
.method, .note { margin-left: 1.25rem; }
code, pre { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
pre { background: var(--box); padding: .75rem 1rem; border-radius: .375rem; overflow-x: auto; }
ol.contents { padding-left: 1.5rem; } ol.contents li { margin: .75rem 0; }
ol.contents small { display: block; color: var(--faint); }
footer { font-size: .875rem; margin-top: 2rem; }
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
{body}
<footer><p>From the documentation in the source of Python {version}.
Copyright Python Software Foundation, licence PSF-2.0.</p></footer>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A finished chapter; `continues` if the next chapter is its next part."""

    path: str
    title: str
    modules: tuple[str, ...]
    html: str
    words: int
    continues: bool = False


def section(entry: Entry) -> str:
    """Return the HTML of one documented object."""
    text = to_html(entry.text)
    if entry.kind == "module":
        return f"<h2><code>{escape(entry.name)}</code></h2>\n{text}\n"
    level = 4 if entry.kind == "method" else 3
    heading = f"<h{level}><code>{escape(entry.signature)}</code></h{level}>"
    if entry.kind == "method":
        return f'<div class="method">\n{heading}\n{text}\n</div>\n'
    return f"{heading}\n{text}\n"


def words_in(html: str) -> int:
    """Return the number of words that HTML shows."""
    return len(re.sub(r"<[^>]*>", " ", html).split())


def chapter_page(book: str, chapters: list[Chapter], number: int, version: str) -> str:
    """Return the page of a chapter; `number` counts from 0, and `version` is the Python version."""
    chapter = chapters[number]
    before = _link(chapters[number - 1], "← ") if number else "<span></span>"
    after = _link(chapters[number + 1], "", " →") if number + 1 < len(chapters) else "<span></span>"
    nav = f'<nav>{before}<a href="index.html">{escape(book)}</a>{after}</nav>'
    modules = ", ".join(f"<code>{escape(module)}</code>" for module in chapter.modules)
    tail = ""
    if chapter.continues:
        tail = f"<p><em>Continues in {_link(chapters[number + 1])}.</em></p>\n"
    body = (
        f'{nav}\n<main>\n<h1>{escape(chapter.title)}</h1>\n<p class="lead">{modules}</p>\n'
        f"{chapter.html}{tail}</main>\n{nav}"
    )
    return _PAGE.format(title=escape(f"{chapter.title} - {book}"), body=body, version=version)


def contents_page(book: str, tags: tuple[str, ...], chapters: list[Chapter], version: str) -> str:
    """Return the contents page of a book."""
    lines = []
    for chapter in chapters:
        small = f"{', '.join(chapter.modules)} · {chapter.words:,} words"
        lines.append(f"<li>{_link(chapter)}<small>{escape(small)}</small></li>")
    listing = "\n".join(lines)
    body = (
        f'<main>\n<h1>{escape(book)}</h1>\n<p class="lead">{inline(" · ".join(tags))}</p>\n'
        f'<ol class="contents">\n{listing}\n</ol>\n</main>'
    )
    return _PAGE.format(title=escape(book), body=body, version=version)


def _link(chapter: Chapter, before: str = "", after: str = "") -> str:
    return f'<a href="{escape(chapter.path)}">{before}{escape(chapter.title)}{after}</a>'
