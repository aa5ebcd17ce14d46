"""The forms of an HTML page.

The page is read as the tokenizer of the HTML Standard does it (section 13.2.5), in linear time. `html.parser` takes a
minute for 64 kB of a hostile page (CVE-2025-6069).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z][^\s/>]*")
# one attribute of a tag, or its end; possessive, so that no text is examined twice
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>(?![\"'])[^\s>]*+)))?+)"
)
_COMMENT_END = re.compile(r"--!?>")
#: Elements that contain only text, up to their end tag.
_TEXT_ONLY = frozenset({"textarea", "title", "script", "style", "xmp", "iframe", "noembed", "noframes"})
# `html.unescape` raises for numbers of more than 4,300 digits
_TOO_LARGE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")

#: Input types whose value a browser does not send by itself (HTML Standard, "constructing the entry list").
_NOT_SENT = frozenset({"submit", "image", "reset", "button", "file"})


@dataclass(slots=True)
class Form:
    """One form."""

    #: Its target, as written; empty for the page itself.
    action: str = ""
    #: ``get`` or ``post``.
    method: str = "get"
    #: Its attribute ``id``, or empty.
    identifier: str = ""
    name: str = ""
    #: Whether it is sent as ``multipart/form-data``.
    multipart: bool = False
    #: The names and values that a browser would send now, in order.
    fields: list[tuple[str, str]] = field(default_factory=list)
    #: The names of its password fields.
    passwords: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Return whether it has a field of this name."""
        return name in self.passwords or any(name == field for field, _ in self.fields)


@dataclass(slots=True)
class Page:
    """The forms of a page."""

    forms: list[Form]
    #: The page's base URL, or empty.
    base: str = ""
    #: The URL that it leads to immediately (``<meta http-equiv="refresh">``), or empty.
    refresh: str = ""


def parse_page(text: str) -> Page:
    """Return the forms of a page; of a broken or cut page, those that can be seen."""
    reader = _Reader()
    for token in _tokens(text):
        reader.take(token)
    reader.end_form()
    return reader.page


def parse_start(start: bytes) -> Page:
    """Return the forms at the start of a page."""
    return parse_page(start.decode("utf-8", "replace")) if b"<" in start else Page([])


class _Token(NamedTuple):
    """A start tag, or an end tag with the text before it, if its element contains only text."""

    name: str
    attributes: dict[str, str] | None = None  # None for an end tag
    text: str = ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while (at := text.find("<", at)) >= 0:
        is_end = text.startswith("</", at)
        name = _NAME.match(text, at + 1 + is_end)
        if text.startswith("<!--", at):
            at = _behind_comment(text, at + 4)
        elif text.startswith(("<!", "<?"), at) or (is_end and name is None):
            at = text.find(">", at) + 1 or len(text)
        elif name is None:
            at += 1
        else:
            tag = name[0].lower()
            attributes, at = _attributes(text, name.end())
            if attributes is None:
                return
            yield _Token(tag, None if is_end else attributes)
            if is_end:
                continue
            if tag == "plaintext":
                return
            if tag in _TEXT_ONLY:
                end = re.compile(rf"</{tag}(?=[\s/>])", re.I).search(text, at)
                content = text[at : len(text) if end is None else end.start()]
                yield _Token(tag, text=_resolved(content) if tag == "textarea" else "")
                at = len(text) if end is None else end.end()


def _behind_comment(text: str, at: int) -> int:
    for empty in (">", "->"):
        if text.startswith(empty, at):
            return at + len(empty)
    end = _COMMENT_END.search(text, at)
    return len(text) if end is None else end.end()


def _attributes(text: str, at: int) -> tuple[dict[str, str] | None, int]:
    """Return the attributes of a tag and where it ends; None if the page ends first."""
    found: dict[str, str] = {}
    while (one := _ATTRIBUTE.match(text, at)) is not None:
        at = one.end()
        if one["end"]:
            return found, at
        value = one["double"] or one["single"] or one["bare"] or ""
        found.setdefault(one["name"].lower(), _resolved(value))  # the first one counts
    return None, len(text)


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
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._textarea = ""  # the name of the open one

    def take(self, token: _Token) -> None:
        """Take the next token of the page."""
        tag, values, form = token.name, token.attributes, self._form
        if values is None:
            if tag == "form":
                self.end_form()
            elif tag == "select":
                self._end_select()
            elif tag == "textarea" and self._textarea and form is not None:
                form.fields.append((self._textarea, token.text.removeprefix("\r").removeprefix("\n")))
                self._textarea = ""
        elif tag == "base":
            self.page.base = self.page.base or values.get("href", "")
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.page.refresh = self.page.refresh or _refresh(values.get("content", ""))
        elif form is not None:
            self._control(form, tag, values)  # forms do not nest: an inner one is ignored
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

    def end_form(self) -> None:
        """End the open form."""
        self._end_select()
        self._form = None

    def _control(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, value = values.get("name", ""), values.get("value", "")
        kind = values.get("type", "submit" if tag == "button" else "text").lower()
        if tag == "input" and kind == "password":
            # without a name, a script sends it; disabled, a script enables it: still a login form
            form.passwords.append(name)
        if tag == "option" and self._select is not None:
            self._select[1].append((value, "selected" in values))
        elif "disabled" in values or not name:
            return
        elif tag == "select":
            self._select = (name, [])
        elif tag == "textarea":
            self._textarea = name
        elif tag in ("button", "input") and kind == "submit":
            if not self._submitted:
                form.fields.append((name, value))
            self._submitted = True
        elif tag == "input" and kind in {"checkbox", "radio"}:
            if "checked" in values:
                form.fields.append((name, values.get("value", "on")))
        elif tag == "input" and kind not in _NOT_SENT:
            form.fields.append((name, value))

    def _end_select(self) -> None:
        if self._select is not None and self._form is not None:
            name, options = self._select
            chosen = [value for value, selected in options if selected] or [value for value, _ in options[:1]]
            self._form.fields += [(name, value) for value in chosen[:1]]
        self._select = None
