"""The forms of an HTML page, by a real HTML parser: to log in with, and to know a login page by."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

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
    parser = _Parser()
    parser.feed(text)
    parser.close()
    parser.finish()
    return Page(parser.forms, parser.base, parser.refresh)


def parse_start(start: bytes) -> Page:
    """Return the forms at the start of a page."""
    return parse_page(start.decode("utf-8", "replace")) if b"<" in start else Page([])


def _refresh(content: str) -> str:
    """Return where ``0; url=/login`` leads; a page that waits first is to be read, and leads nowhere."""
    delay, _, rest = content.strip().replace(",", ";", 1).partition(";")
    name, _, url = rest.partition("=")
    at_once = delay.strip().partition(".")[0] in ("0", "1")
    return url.strip().strip("'\"") if at_once and name.strip().lower() == "url" else ""


class _Parser(HTMLParser):
    """Gathers forms; what stands outside of one is skipped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.base = self.refresh = ""
        self._form: Form | None = None
        self._submitted = False  # the form's first button is the one a browser presses on Enter
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._area: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        if tag == "base" and not self.base:
            self.base = values.get("href", "")
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh" and not self.refresh:
            self.refresh = _refresh(values.get("content", ""))
        elif tag == "form" and self._form is None:  # forms do not nest: an inner one is ignored
            self._begin(values)
        elif self._form is not None:
            self._control(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.finish()
        elif tag == "select":
            self._end_select()
        elif tag == "textarea":
            self._end_area()

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)

    def finish(self) -> None:
        """End the form that is open."""
        self._end_select()
        self._end_area()
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
            self._area = (name, [])
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

    def _end_area(self) -> None:
        if self._area is not None and self._form is not None:
            name, parts = self._area
            self._form.fields.append((name, "".join(parts).removeprefix("\n")))
        self._area = None
