"""The forms of an HTML page: to log in with, and to know a login page by.

The page is read tag by tag, as the tokenizer of the HTML Standard does (section 13.2.5), in time that is linear in its
length. `html.parser` takes a minute for 64 kB of a hostile page (CVE-2025-6069).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

_NAME = re.compile(r"[A-Za-z][^\s/>]*")
# one attribute of a tag, or its end; possessive, so that no text is looked at twice
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>(?![\"'])[^\s>]*+)))?+)"
)
_COMMENT_END = re.compile(r"--!?>")
#: Elements that contain text only, up to their end tag.
_TEXT_ONLY = frozenset({"textarea", "title", "script", "style", "xmp", "iframe", "noembed", "noframes"})
# `html.unescape` raises for a number of more than 4,300 digits
_TOO_LARGE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")

#: Input types whose value a browser does not send of itself (HTML Standard, "constructing the entry list").
_NOT_SENT = frozenset({"submit", "image", "reset", "button", "file"})


@dataclass(slots=True)
class Form:
    """One form.

    Parameters
    ----------
    action
        Where it goes, as written; empty for the page itself.
    method
        ``get`` or ``post``.
    identifier, name
        Its attributes ``id`` and ``name``, empty where there are none.
    multipart
        Whether it is sent as ``multipart/form-data``.
    fields
        The names and values that a browser would send as the page stands, in order.
    passwords
        The names of its password fields.
    """

    action: str = ""
    method: str = "get"
    identifier: str = ""
    name: str = ""
    multipart: bool = False
    fields: list[tuple[str, str]] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Return whether it has a field of this name."""
        return name in self.passwords or any(name == field for field, _ in self.fields)


@dataclass(frozen=True, slots=True)
class Page:
    """What `parse_page` found.

    Parameters
    ----------
    forms
        The forms.
    base
        The page's base URL, where it names one.
    refresh
        Where the page itself leads on to at once (``<meta http-equiv="refresh">``), where it does.
    """

    forms: list[Form]
    base: str = ""
    refresh: str = ""


def parse_page(text: str) -> Page:
    """Return the forms of a page; of a broken or cut page, those that can be seen."""
    reader = _Reader()
    for token in _tokens(text):
        reader.take(token)
    reader.finish()
    return Page(reader.forms, reader.base, reader.refresh)


@dataclass(frozen=True, slots=True)
class _Token:
    """A tag, or, for an element that contains text only, its text: an end tag with the text before it."""

    name: str
    attributes: dict[str, str] | None = None  # None for an end tag
    text: str = ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while (at := text.find("<", at)) >= 0:
        if text.startswith("<!--", at):
            at = _behind_comment(text, at + 4)
        elif text[at + 1 : at + 2] in ("!", "?") or (
            text.startswith("</", at) and not _NAME.match(text, at + 2)
        ):
            at = text.find(">", at) + 1 or len(text)
        elif (name := _NAME.match(text, at + 1)) is not None:
            tag = name[0].lower()
            attributes, at = _attributes(text, name.end())
            if attributes is None:
                return
            yield _Token(tag, attributes)
            if tag in _TEXT_ONLY:
                end = re.compile(rf"</{tag}(?=[\s/>])", re.I).search(text, at)
                content = text[at : len(text) if end is None else end.start()]
                yield _Token(tag, text=_resolved(content) if tag == "textarea" else "")
                at = len(text) if end is None else end.end()
            elif tag == "plaintext":
                return
        elif (name := _NAME.match(text, at + 2)) is not None and text[at + 1] == "/":
            attributes, at = _attributes(text, name.end())
            if attributes is None:
                return
            yield _Token(name[0].lower())
        else:
            at += 1


def _behind_comment(text: str, at: int) -> int:
    """Return where a comment ends whose content begins here."""
    for empty in (">", "->"):
        if text.startswith(empty, at):
            return at + len(empty)
    end = _COMMENT_END.search(text, at)
    return len(text) if end is None else end.end()


def _attributes(text: str, at: int) -> tuple[dict[str, str] | None, int]:
    """Return the attributes of a tag, and where it ends; None where the page ends before."""
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


def parse_start(start: bytes) -> Page:
    """Return the forms at the start of a page."""
    return parse_page(start.decode("utf-8", "replace")) if b"<" in start else Page([])


def _refresh(content: str) -> str:
    """Return where ``0; url=/login`` leads; a page that waits first is to be read, and leads nowhere."""
    delay, _, rest = content.strip().replace(",", ";", 1).partition(";")
    name, _, url = rest.partition("=")
    at_once = delay.strip().partition(".")[0] in ("0", "1")
    return url.strip().strip("'\"") if at_once and name.strip().lower() == "url" else ""


class _Reader:
    """Gathers forms; what stands outside of one is skipped."""

    def __init__(self) -> None:
        self.forms: list[Form] = []
        self.base = self.refresh = ""
        self._form: Form | None = None
        self._submitted = False  # the form's first button is the one a browser presses on Enter
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._area = ""  # the name of the textarea that is open

    def take(self, token: _Token) -> None:
        """Take the next token of the page."""
        if token.attributes is None:
            self._end(token)
            return
        tag, values = token.name, token.attributes
        if tag == "base" and not self.base:
            self.base = values.get("href", "")
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh" and not self.refresh:
            self.refresh = _refresh(values.get("content", ""))
        elif tag == "form" and self._form is None:  # forms do not nest: an inner one is ignored
            self._begin(values)
        elif self._form is not None:
            self._control(tag, values)

    def _end(self, token: _Token) -> None:
        if token.name == "form":
            self.finish()
        elif token.name == "select":
            self._end_select()
        elif token.name == "textarea" and self._area and self._form is not None:
            self._form.fields.append((self._area, token.text.removeprefix("\r").removeprefix("\n")))
            self._area = ""

    def finish(self) -> None:
        """End the form that is open."""
        self._end_select()
        self._form = None

    def _begin(self, values: dict[str, str]) -> None:
        self._submitted = False
        self._form = Form(
            action=values.get("action", "").strip(),
            method="post" if values.get("method", "").strip().lower() == "post" else "get",
            identifier=values.get("id", ""),
            name=values.get("name", ""),
            multipart=values.get("enctype", "").strip().lower() == "multipart/form-data",
        )
        self.forms.append(self._form)

    def _control(self, tag: str, values: dict[str, str]) -> None:
        name = values.get("name", "")
        if tag == "option" and self._select is not None:
            self._select[1].append((values.get("value", ""), "selected" in values))
        elif "disabled" in values or not name:
            # a password field without a name is filled in by a script; it still makes this a login form
            if tag == "input" and values.get("type", "").lower() == "password" and self._form is not None:
                self._form.passwords.append(name)
        elif tag == "input":
            self._input(name, values)
        elif tag == "select":
            self._select = (name, [])
        elif tag == "textarea":
            self._area = name
        elif tag == "button" and values.get("type", "submit").lower() == "submit":
            self._submit(name, values)

    def _input(self, name: str, values: dict[str, str]) -> None:
        kind = values.get("type", "text").lower()
        if self._form is None:
            return
        if kind == "password":
            self._form.passwords.append(name)
        if kind == "submit":
            self._submit(name, values)
        elif kind in {"checkbox", "radio"}:
            if "checked" in values:
                self._form.fields.append((name, values.get("value", "on")))
        elif kind not in _NOT_SENT:
            self._form.fields.append((name, values.get("value", "")))

    def _submit(self, name: str, values: dict[str, str]) -> None:
        if self._form is not None and not self._submitted:
            self._submitted = True
            self._form.fields.append((name, values.get("value", "")))

    def _end_select(self) -> None:
        if self._select is not None and self._form is not None:
            name, options = self._select
            chosen = [value for value, selected in options if selected] or [value for value, _ in options[:1]]
            self._form.fields += [(name, value) for value in chosen[:1]]
        self._select = None
