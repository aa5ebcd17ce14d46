"""Keeps secrets and terminal controls out of everything that is written or shown."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple
from itertools import islice
from typing import Any, TextIO, TypeVar, cast
from urllib.parse import quote, quote_plus

from argosy.errors import ArgosyError, Problem
from argosy.toolkit.text import escape_controls, escape_printed
from argosy.toolkit.urls import redact_urls

#: The newest secrets, at least so many, are remembered; an old token is worthless.
REMEMBERED = 2048
#: Shorter values would blot out innocent text. Secrets are found by so many characters.
SHORTEST = 4

#: Texts without secrets to remember, such as the headers that each response of a service has.
CLEAN = 4096

#: How a secret may look in other programs' messages: in a URL, a form, JSON, source code.
_FORMS: tuple[Callable[[str], str], ...] = (
    str,
    lambda secret: quote(secret, safe=""),
    quote,
    quote_plus,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: repr(secret)[1:-1],
)

#: The forms by their first characters, so that thousands of secrets cost no more than one.
_Forms = dict[tuple[str, ...], frozenset[str]]

_Value = TypeVar("_Value")
_Error = TypeVar("_Error", bound=ArgosyError)


class Redactor:
    """Replaces secrets by ``***``: those of the run, its newest tokens, and credentials in URLs."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._secrets: dict[str, None] = {}  # the newest last
        self._forms: _Forms = {}
        self._clean: set[str] = set()  # texts in which none of these forms is

    def add(self, secret: str) -> None:
        """Remember a secret."""
        if len(secret) < SHORTEST:
            return
        with self._mutex:
            is_new = secret not in self._secrets
            self._secrets.pop(secret, None)
            self._secrets[secret] = None  # the newest is the last
            if len(self._secrets) > 2 * REMEMBERED:
                self._secrets = dict.fromkeys(islice(self._secrets, REMEMBERED, None))
                forms: _Forms = {}
                for known in self._secrets:
                    _index(known, forms)
                self._forms = forms  # other threads may still read the old ones
            elif is_new:
                _index(secret, self._forms)
            else:
                return
            self._clean = set()

    def redact(self, value: _Value) -> _Value:
        """Return a text without secrets, to be kept; in JSON values and problems, redact all texts."""
        if isinstance(value, str):  # most often, and for each header of each response
            return self._redacted(value)  # type: ignore[return-value]  # a text
        return _mapped(self._redacted, value)

    def scrub(self, value: _Value) -> _Value:
        """Return a text or other value as `redact` does, also without terminal controls, to be shown."""
        return _mapped(lambda text: escape_controls(self._redacted(text)), value)

    def _redacted(self, text: str) -> str:
        clean = self._clean  # read before the forms, which are changed before it
        if text in clean:
            return text
        forms = self._forms
        # a loop in C, which finds nothing in nearly all text
        starts = forms.keys() & zip(text, text[1:], text[2:], text[3:], strict=False) if forms else ()
        redacted = text
        for form in sorted((form for start in starts for form in forms[start]), key=len, reverse=True):
            redacted = redacted.replace(form, "***")
        redacted = redact_urls(redacted)
        if redacted == text:
            if len(clean) >= CLEAN:
                clean.clear()
            clean.add(text)
        return redacted

    def json(self, value: Any, *, indent: int | None = None) -> str:
        """Return a value as JSON for a file, without secrets and terminal controls."""
        return escape_controls(json.dumps(self.redact(value), ensure_ascii=False, indent=indent))

    def scrub_error(self, error: _Error) -> _Error:
        """Scrub an error in place, and remove its chain, whose texts a traceback or a logger would print."""
        error.__dict__.pop("__notes__", None)
        for name, value in error.__dict__.items():
            error.__dict__[name] = self.scrub(value)
        error.args = (error.message,)
        error.__cause__ = error.__context__ = None
        return error


def _index(secret: str, forms: _Forms) -> None:
    for form in {make(secret) for make in _FORMS}:
        start = tuple(form[:SHORTEST])
        forms[start] = forms.get(start, frozenset()) | {form}  # another thread may still read the old set


def _mapped(function: Callable[[str], str], value: _Value) -> _Value:
    mapped: Any = value
    if isinstance(value, str):
        mapped = function(value)
    elif isinstance(value, Mapping):
        mapped = {key: _mapped(function, inner) for key, inner in value.items()}
    elif isinstance(value, (list, tuple)):
        mapped = (list if isinstance(value, list) else tuple)(_mapped(function, inner) for inner in value)
    elif isinstance(value, Problem):
        mapped = Problem(*map(function, astuple(value)))
    return mapped  # type: ignore[no-any-return]  # it has the type of the argument


@contextlib.contextmanager
def redacted_streams(redactor: Redactor) -> Iterator[None]:
    """Redact what plugins and Python print, and escape terminal controls except colors and redrawn lines."""
    with (
        contextlib.redirect_stdout(cast("TextIO", _RedactedStream(sys.stdout, redactor))),
        contextlib.redirect_stderr(cast("TextIO", _RedactedStream(sys.stderr, redactor))),
    ):
        yield


class _RedactedStream:
    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._stream.write(escape_printed(self._redactor.redact(text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
