"""The elements of HTML and where they may appear (EPUB 3.3 section 6.1: XHTML by the rules of the HTML standard)."""

from __future__ import annotations

#: Contain text and inline elements, and are inline themselves.
INLINE = frozenset(
    (
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "dfn",
        "em",
        "i",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "u",
        "var",
    )
)
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: Contain only inline content, and are blocks.
LINES = frozenset({*HEADINGS, "p", "pre"})
#: Contain anything.
FLOW = frozenset(
    (
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "dd",
        "details",
        "div",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "header",
        "li",
        "main",
        "nav",
        "section",
        "td",
        "th",
    )
)
#: Allowed wherever their contents are.
TRANSPARENT = frozenset({"a", "ins", "del", "audio", "video"})
#: Allowed only in one kind of element.
PLACED = frozenset(
    (
        "caption",
        "col",
        "colgroup",
        "dd",
        "dt",
        "figcaption",
        "li",
        "rp",
        "rt",
        "summary",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
    )
)
#: Have no content.
VOID = frozenset({"br", "col", "hr", "img", "wbr"})
TABLES = frozenset({"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "td", "th"})
KEPT = (INLINE | LINES | FLOW | TRANSPARENT | PLACED | VOID | TABLES | {"ul", "ol", "dl", "ruby", "summary"}) - {"body"}

#: Invisible or useless in a book: removed with their contents.
DROPPED = frozenset(
    (
        "area",
        "base",
        "basefont",
        "bgsound",
        "command",
        "datalist",
        "frame",
        "head",
        "input",
        "keygen",
        "link",
        "meta",
        "noframes",
        "optgroup",
        "option",
        "param",
        "script",
        "select",
        "source",
        "style",
        "template",
        "title",
        "track",
        "nextid",
        "spacer",
        "isindex",
    )
)
#: Kept under another name.
RENAMED = {
    **dict.fromkeys(("center", "dialog", "fieldset", "form", "hgroup", "legend", "search"), "div"),
    **dict.fromkeys(("dir", "menu"), "ul"),
    **dict.fromkeys(("listing", "plaintext", "xmp"), "pre"),
    "acronym": "abbr",
    "strike": "s",
    "tt": "code",
}
#: The look of the renamed elements.
LOOKS = {
    "center": "text-align: center",
    "big": "font-size: larger",
    "nobr": "white-space: nowrap",
    "b": "font-weight: bold",
    "strong": "font-weight: bold",
    **dict.fromkeys(("cite", "dfn", "em", "i", "var"), "font-style: italic"),
    **dict.fromkeys(("code", "kbd", "samp"), "font-family: monospace"),
    "mark": "background-color: yellow",
    "pre": "font-family: monospace; white-space: pre-wrap",
    "s": "text-decoration: line-through",
    "small": "font-size: smaller",
    "u": "text-decoration: underline",
}
#: Forbidden nesting, at any depth.
NOT_IN = {
    "a": frozenset({"a"}),
    "address": frozenset({"address"}),
    "audio": frozenset({"a", "audio", "video"}),
    "details": frozenset({"a"}),
    "dfn": frozenset({"dfn"}),
    "footer": frozenset({"address", "footer", "header"}),
    "header": frozenset({"address", "footer", "header"}),
    "main": frozenset({"article", "aside", "footer", "header", "main", "nav"}),
    "table": frozenset({"caption"}),
    "video": frozenset({"a", "audio", "video"}),
}
