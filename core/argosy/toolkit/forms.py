"""The forms of an HTML page.

The page is read as the tokenizer of the HTML Standard does it (section 13.2.5), in linear time. `html.parser` takes a
minute for 64 kB of a hostile page (CVE-2025-6069).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape

# a comment, a declaration, or the start of a tag
_MARKUP = re.compile(
    r"<!--(?:-?>|.*?--!?>|.*+)|<(?:[!?]|/(?![A-Za-z]))[^>]*+>?|<(?P<end>/?)(?P<tag>[A-Za-z][^\s/>]*+)", re.S
)
# one attribute of a tag, or its end; possessive, so that no text is examined twice
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>(?![\"'])[^\s>]*+)))?+)"
)
#: Elements that contain only text, up to their end tag.
_TEXT_ONLY = frozenset({"textarea", "title", "script", "style", "xmp", "iframe", "noframes", "plaintext"})
# `html.unescape` raises for numbers of more than 4,300 digits
_TOO_LARGE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")

#: Input types whose value a browser does not send by itself (HTML Standard, "constructing the entry list").
_NOT_SENT = frozenset({"submit", "image", "reset", "button", "file"})


@dataclass(slots=True)
class Form:
    """One form."""

    action: str = ""  # as written; empty for the page itself
    method: str = "get"  # or "post"
    identifier: str = ""  # its attribute "id"
    name: str = ""
    multipart: bool = False  # whether it is sent as multipart/form-data
    #: The names and values that a browser would send now, in order.
    fields: list[tuple[str, str]] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)  # the names of its password fields

    def has(self, name: str) -> bool:
        """Return whether it has a field of this name."""
        return name in self.passwords or name in dict(self.fields)


@dataclass(slots=True)
class Page:
    """The forms of a page."""

    forms: list[Form]
    base: str = ""  # its base URL
    refresh: str = ""  # the URL that it leads to immediately (<meta http-equiv="refresh">)


def parse_page(text: str) -> Page:
    """Return the forms of a page; of a broken or cut page, those that can be seen."""
    reader = _Reader()
    for tag, attributes, content in _tags(text):
        if attributes is None:
            reader.end(tag)
        else:
            reader.start(tag, attributes, content)
    reader.end("form")
    return reader.page


def _tags(text: str) -> Iterator[tuple[str, dict[str, str] | None, str]]:
    """Yield each tag with its attributes (None for an end tag) and the text of an element that contains only text."""
    at = 0
    while (markup := _MARKUP.search(text, at)) is not None:
        at = markup.end()
        if markup["tag"] is None:
            continue
        tag, content = markup["tag"].lower(), ""
        attributes: dict[str, str] = {}
        while (one := _ATTRIBUTE.match(text, at)) is not None and not one["end"]:
            at = one.end()
            value = one["double"] or one["single"] or one["bare"] or ""
            attributes.setdefault(one["name"].lower(), _resolved(value))  # the first one counts
        if one is None:
            return  # the page was cut
        at = one.end()
        if tag in _TEXT_ONLY and not markup["end"]:
            end = re.compile(rf"</{tag}(?=[\s/>])", re.I).search(text, at)
            content = text[at : end.start() if end else len(text)]
            at = end.start() if end else len(text)
        yield tag, None if markup["end"] else attributes, content


def _resolved(text: str) -> str:
    """Return a text with its character references resolved."""
    return unescape(_TOO_LARGE.sub("\ufffd", text)) if "&" in text else text


def _refresh(content: str) -> str:
    """Return the target of ``0; url=/login``; a page with a delay is to be read, and leads nowhere."""
    delay, _, rest = content.strip().replace(",", ";", 1).partition(";")
    name, _, url = rest.partition("=")
    at_once = delay.strip().partition(".")[0] in ("0", "1")
    return url.strip().strip("'\"") if at_once and name.strip().lower() == "url" else ""


class _Reader:
    """Collects forms and ignores everything outside of them."""

    def __init__(self) -> None:
        self.page = Page([])
        self._form: Form | None = None
        self._submitted = False  # a browser presses the form's first button on Enter
        self._select = ""  # the name of the open one
        self._options: list[Mapping[str, str]] = []

    def start(self, tag: str, values: Mapping[str, str], content: str) -> None:
        """Take a start tag."""
        if tag == "base":
            self.page.base = self.page.base or values.get("href", "")
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.page.refresh = self.page.refresh or _refresh(values.get("content", ""))
        elif self._form is not None:
            self._control(self._form, tag, values, content)  # forms do not nest: an inner one is ignored
        elif tag == "form":
            self._submitted = False
            self._form = Form(
                action=values.get("action", "").strip(),
                method="post" if values.get("method", "").strip().lower() == "post" else "get",
                identifier=values.get("id", ""),
                name=values.get("name", ""),
                multipart=values.get("enctype", "").strip().lower() == "multipart/form-data",
            )
            self.page.forms.append(self._form)

    def end(self, tag: str) -> None:
        """Take an end tag."""
        if tag not in ("select", "form"):
            return
        if self._form is not None and self._options:
            chosen = max(self._options, key=lambda option: "selected" in option)  # or else the first
            self._form.fields.append((self._select, chosen.get("value", "")))
        self._select, self._options = "", []
        if tag == "form":
            self._form = None

    def _control(self, form: Form, tag: str, values: Mapping[str, str], content: str) -> None:
        name, value = values.get("name", ""), values.get("value", "")
        kind = values.get("type", "submit" if tag == "button" else "text").lower()
        if tag == "input" and kind == "password":
            # without a name, a script sends it; disabled, a script enables it: still a login form
            form.passwords.append(name)
        if tag == "option" and self._select:
            self._options.append(values)
        elif "disabled" in values or not name:
            return
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "textarea":
            form.fields.append((name, _resolved(content).removeprefix("\r").removeprefix("\n")))
        elif tag in ("button", "input") and kind == "submit":
            if not self._submitted:
                form.fields.append((name, value))
            self._submitted = True
        elif tag == "input" and kind in {"checkbox", "radio"}:
            if "checked" in values:
                form.fields.append((name, values.get("value", "on")))
        elif tag == "input" and kind not in _NOT_SENT:
            form.fields.append((name, value))
