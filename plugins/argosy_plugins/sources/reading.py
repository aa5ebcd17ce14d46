"""What the sources that read a file share: lines in flat memory, and problems that are named together."""

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

#: The longest line, or item of a JSON array, in bytes; what is longer is a mistake, and would fill the memory.
MAX_LINE = 10 * 1024 * 1024
#: How many problems are named at once.
MAX_PROBLEMS = 20
#: The options of sources that are about their URLs.
URL_OPTIONS: Mapping[str, Any] = {
    "content_disposition": {
        "type": "boolean",
        "default": False,
        "description": "Whether a file that has no name of its own is called what the server calls it, where it does.",
    },
    "ignore_query": {
        "type": "boolean",
        "default": False,
        "description": "Whether to compare URLs without their queries: for signed URLs, whose signature is another one "
        "each time. A finished file is then not downloaded again because of a new signature. Not needed where a digest "
        "is promised.",
    },
}
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Problems:
    """Collects what is wrong in one file, up to `MAX_PROBLEMS`.

    Parameters
    ----------
    name
        The file, as the configuration names it.
    kind
        What it should be: "manifest".
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self._found: list[Problem] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, where: str | int, found: str, expected: str) -> None:
        """Note a problem; `where` is a line number, or a place in words.

        Raises
        ------
        SourceError
            When there are so many that it is no use to go on.
        """
        place = f"{self.name}:{where}" if isinstance(where, int) else f"{self.name}: {where}"
        self._found.append(Problem(place, found, expected))
        if len(self._found) >= MAX_PROBLEMS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise all problems as one error, if there are any.

        Raises
        ------
        SourceError
            With the problems, in the order in which they were found.
        """
        if not self._found:
            return
        count = "one problem" if len(self._found) == 1 else f"{len(self._found)} problems"
        if len(self._found) >= MAX_PROBLEMS:
            count = f"the first {count}"
        raise SourceError(
            f"{self.name} is not a valid {self.kind} ({count} below).",
            tuple(self._found),
            hint="Correct it and run again; what is done already is not downloaded again.",
        )


@contextlib.contextmanager
def opened(path: str, context: PluginContext, kind: str) -> Iterator[BinaryIO]:
    """Open a file of the configuration, or standard input for ``-``, for reading bytes.

    Raises
    ------
    SourceError
        If it cannot be opened or read.
    """
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
    """Raise where a file of the configuration is seen not to be one that can be read; nothing is read.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    if path != "-" and not stat.S_ISFIFO(
        _mode(context.path(path))
    ):  # to open a FIFO is to wait for its writer
        with opened(path, context, kind):
            pass


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def shown_path(path: str) -> str:
    """Return how a file is named in messages."""
    return "standard input" if path == "-" else path


def _skip_line(stream: BinaryIO) -> bool:
    """Read to the end of a line; return whether that came, as a device may never bring it."""
    return any((raw := stream.readline(MAX_LINE)).endswith(b"\n") or not raw for _ in range(100))


def lines(stream: BinaryIO, problems: Problems) -> Iterator[tuple[int, str]]:
    """Yield the lines that can be read, each with its number (from 1) and its line end.

    A byte order mark at the start is taken off. A line that is too long, or not UTF-8, is a problem.
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
