"""Shared by sources that read a file: lines in constant memory, and problems reported together."""

from __future__ import annotations

import contextlib
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from argosy.errors import Problem, SourceError
from argosy.interfaces.base import PluginContext
from argosy.toolkit.files import open_file

#: The longest line, or item of a JSON array, in bytes; longer ones are mistakes and would fill the memory.
MAX_LINE = 10 * 1024 * 1024
#: The most problems in one error.
MAX_PROBLEMS = 20
#: The options of sources for their URLs.
URL_OPTIONS: Mapping[str, Any] = {
    "content_disposition": {
        "type": "boolean",
        "default": False,
        "description": "Name a file without a path after the server's Content-Disposition, if it sends one.",
    },
    "ignore_query": {
        "type": "boolean",
        "default": False,
        "description": "Compare URLs without their queries: for signed URLs, whose signatures change."
        " A new signature then does not cause another download. Not needed for files"
        " with a digest.",
    },
}
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Problems:
    """Collects the problems of one file, up to `MAX_PROBLEMS`.

    `name` is the file as the configuration names it; `kind` is what it should be: "manifest".
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self._found: list[Problem] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, where: str | int, found: str, expected: str) -> None:
        """Note a problem at a line number or a described place; raise SourceError if there are too many."""
        place = f"{self.name}:{where}" if isinstance(where, int) else f"{self.name}: {where}"
        self._found.append(Problem(place, found, expected))
        if len(self._found) >= MAX_PROBLEMS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise all problems as one SourceError, if there are any."""
        if not self._found:
            return
        count = "one problem" if len(self._found) == 1 else f"{len(self._found)} problems"
        if len(self._found) >= MAX_PROBLEMS:
            count = f"the first {count}"
        raise SourceError(
            f"{self.name} is not a valid {self.kind} ({count} below).",
            tuple(self._found),
            hint="Correct it and run again; finished files are not downloaded again.",
        )


@contextlib.contextmanager
def opened(path: str, context: PluginContext, kind: str) -> Iterator[BinaryIO]:
    """Open a file of the configuration, or standard input for ``-``, for reading bytes; raise SourceError on failure."""
    try:
        if path == "-":
            yield sys.stdin.buffer
        else:
            with open_file(context.path(path)) as stream:
                yield stream
    except OSError as error:
        raise SourceError(
            f"The {kind} {shown_path(path)} cannot be read: {error.strerror or type(error).__name__}.",
            hint="Check its path (a relative one starts at the configuration file) and its permissions. To read from a "
            "pipe, use standard input (-).",
        ) from None


def can_be_opened(path: str, context: PluginContext, kind: str) -> None:
    """Raise SourceError if a file is obviously unreadable, without reading it."""
    if path != "-" and not stat.S_ISFIFO(_mode(context.path(path))):  # opening a FIFO waits for its writer
        with opened(path, context, kind):
            pass


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def shown_path(path: str) -> str:
    """Return a file's name for messages."""
    return "standard input" if path == "-" else path


def _skip_line(stream: BinaryIO) -> bool:
    """Read to the end of a line; return False if it does not end, as on some devices."""
    return any((raw := stream.readline(MAX_LINE)).endswith(b"\n") or not raw for _ in range(100))


def lines(stream: BinaryIO, problems: Problems) -> Iterator[tuple[int, str]]:
    """Yield each readable line with its number (from 1) and its line end.

    It skips a byte order mark at the start, and reports lines that are too long or not UTF-8.
    """
    number = 0
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            if raw.startswith(_UTF16):
                problems.add(1, "it begins like UTF-16 text", "save the file as UTF-8")
                return
            raw = raw.removeprefix(_BOM)
        if len(raw) > MAX_LINE:
            problems.add(number, "the line is longer than 10 MiB", "a line of at most 10 MiB")
            if not _skip_line(stream):
                return
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8"
            problems.add(number, found, "save the file as UTF-8")
            continue
        yield number, text
