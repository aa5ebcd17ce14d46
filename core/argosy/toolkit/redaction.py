"""Keeping secrets out of everything that is written or shown.

Standard output and standard error of a command, or of a worker process: no secret goes out through them.

Nor does a control character, but for colors and what a live display needs. argosy scrubs what it shows itself. A
plugin may print, log or warn whatever it likes, and Python writes the tracebacks of threads; all that comes by here.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar
from urllib.parse import quote, quote_plus

from argosy.errors import ArgosyError, Problem
from argosy.toolkit.text import escape_controls, escape_printed
from argosy.toolkit.urls import redact_urls

#: Tokens that are remembered, newest last; an old token is worth nothing any more.
REMEMBERED = 2048

#: Shorter values would blot out innocent text. It is also how many characters a secret is found by.
SHORTEST = 4

#: How a secret may look in somebody else's message: in a URL, in a form, in JSON, in a program's text.
_FORMS: tuple[Callable[[str], str], ...] = (
    lambda secret: secret,
    lambda secret: quote(secret, safe=""),
    quote,
    quote_plus,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: repr(secret)[1:-1],
)

_Value = TypeVar("_Value")
_Error = TypeVar("_Error", bound=ArgosyError)


class Redactor:
    """Replaces secrets in text by ``***``.

    It knows the secrets that were resolved for this run and the newest tokens of its sessions, each as it is
    and as URLs, forms and JSON write it, and it knows what credentials in a URL look like.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._secrets: OrderedDict[str, frozenset[str]] = OrderedDict()
        # the forms of all secrets by their first characters: thousands of secrets cost no more than one
        self._forms: dict[tuple[str, ...], list[str]] = {}

    def add(self, secret: str) -> None:
        """Remember a secret."""
        if len(secret) < SHORTEST:
            return
        with self._mutex:
            if secret in self._secrets:
                self._secrets.move_to_end(secret)
                return
            forms = frozenset(form(secret) for form in _FORMS)
            self._secrets[secret] = forms
            for form in forms:
                # a new list each time: `scrub` may be reading the old one
                known = self._forms.get(_key(form), [])
                self._forms[_key(form)] = sorted([*known, form], key=len, reverse=True)
            if len(self._secrets) > REMEMBERED:
                self._forget(self._secrets.popitem(last=False)[1])

    def _forget(self, forms: frozenset[str]) -> None:
        for form in forms:
            left = list(self._forms[_key(form)])
            left.remove(form)  # one of them: another secret may have the same form
            if left:
                self._forms[_key(form)] = left
            else:
                del self._forms[_key(form)]

    def scrub(self, text: str) -> str:
        """Return the text as it may be shown: without the secrets, and without anything that steers a terminal."""
        return escape_controls(self.redact(text))

    def redact(self, text: str) -> str:
        """Return the text without the secrets, for what is kept and not shown."""
        if self._forms:
            text = self._without_secrets(text)
        return redact_urls(text)

    def _without_secrets(self, text: str) -> str:
        forms, iter_body, kept, at = self._forms, [], 0, 0
        if forms.keys().isdisjoint(zip(text, text[1:], text[2:], text[3:], strict=False)):
            return text  # nearly all text, and this loop is in C
        last = len(text) - SHORTEST
        while at <= last:
            for form in forms.get(_key(text[at : at + SHORTEST]), ()):
                if text.startswith(form, at):
                    iter_body += [text[kept:at], "***"]
                    at = kept = at + len(form)
                    break
            else:
                at += 1
        return "".join([*iter_body, text[kept:]]) if iter_body else text

    def scrub_all(self, value: _Value) -> _Value:
        """Return JSON values with each of their texts as it may be shown."""
        return _mapped(self.scrub, value)

    def redact_all(self, value: _Value) -> _Value:
        """Return JSON values without the secrets in any of their texts."""
        return _mapped(self.redact, value)

    def json(self, value: Any, *, indent: int | None = None) -> str:
        """Return a value as the JSON of a file: without secrets, and a terminal may show it."""
        return escape_controls(json.dumps(self.redact_all(value), ensure_ascii=False, indent=indent))

    def scrub_error(self, error: _Error) -> _Error:
        """Take the secrets out of an error, in place, and what is chained behind it off.

        What a plugin or a library raised stands in the chain, with a text of its own that nobody has looked
        through; a traceback, and many a logger, prints it.
        """
        fields = {
            name: tuple(Problem(*map(self.scrub, (p.where, p.found, p.expected))) for p in value)
            if name == "problems"
            else self.scrub_all(value)
            if isinstance(value, (str, dict, list))
            else value
            for name, value in error.__dict__.items()
            if name != "__notes__"
        }
        error.__dict__.clear()
        error.__dict__.update(fields)
        error.args = (error.message,)
        error.__cause__ = error.__context__ = None
        return error


def _key(form: str) -> tuple[str, ...]:
    return tuple(form[:SHORTEST])


def _mapped(function: Callable[[str], str], value: _Value) -> _Value:
    """Return JSON values with a function applied to each text."""
    mapped: Any = value
    if isinstance(value, str):
        mapped = function(value)
    elif isinstance(value, Mapping):
        mapped = {key: _mapped(function, inner) for key, inner in value.items()}
    elif isinstance(value, (list, tuple)):
        mapped = (list if isinstance(value, list) else tuple)(_mapped(function, inner) for inner in value)
    return mapped  # type: ignore[no-any-return]  # of the type it came in


class RedactingStreams:
    """Puts itself before both streams for as long as it is entered.

    Parameters
    ----------
    redactor
        Knows the secrets; what it learns is kept out of the streams from then on. One of its own where left out.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor
        self._before: tuple[TextIO, TextIO] = sys.stdout, sys.stderr

    @property
    def redactor(self) -> Redactor:
        """What knows the secrets; made, with what it imports, when it is needed first."""
        if self._redactor is None:
            self._redactor = Redactor()
        return self._redactor

    def scrub(self, text: str) -> str:
        """Return the text without the secrets, and without what steers a terminal in other ways than a display does."""
        if self._redactor is not None or "://" in text:
            text = self.redactor.redact(text)
        return escape_printed(text)

    def __enter__(self) -> Self:
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Scrubbed(stream, self) for stream in self._before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout, sys.stderr = self._before


class _Scrubbed:
    """A text stream; what is written to it is scrubbed, and all else is the stream's own."""

    def __init__(self, stream: TextIO, streams: RedactingStreams) -> None:
        self._stream = stream
        self._streams = streams

    def write(self, text: str) -> int:
        self._stream.write(self._streams.scrub(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
