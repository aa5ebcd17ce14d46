"""Standard output and standard error of a command, or of a worker process: no secret goes out through them.

Nor does a control character, but for colors and what a live display needs. argosy scrubs what it shows itself. A
plugin may print, log or warn whatever it likes, and Python writes the tracebacks of threads; all that comes by here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from argosy.text import escape_printed

if TYPE_CHECKING:
    from argosy.redaction import Redactor


class Streams:
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
            from argosy.redaction import Redactor

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

    def __init__(self, stream: TextIO, streams: Streams) -> None:
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
