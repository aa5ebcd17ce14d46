"""The live display in a notebook: the same picture as on a terminal, as HTML that is replaced in place.

It needs only what every kernel has (IPython), so it also works where widgets are not installed, and a saved notebook keeps the
last picture.
"""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from argosy_plugins.observers._display import draw
from argosy_plugins.observers._progress import RunProgress

#: Lines of items, and of messages, and columns of the picture.
ITEMS, MESSAGES, COLUMNS = 10, 20, 100

#: Seconds between two pictures: each is a message to the browser.
PERIOD = 0.4

_STYLE = "white-space: pre; overflow-x: auto; line-height: normal; font-family: monospace; margin: 0"


class NotebookDisplay:
    """Shows the progress below a cell; only one thread may use it."""

    def __init__(self) -> None:
        self._messages: deque[tuple[str, str]] = deque(maxlen=MESSAGES)
        self._left_out = 0
        self._drawn: RenderableType | None = None
        self._handle: Any = None
        self._shown_at = 0.0

    def draw(self, run: RunProgress, now: float) -> RenderableType | None:
        """Return what `show` shows below the messages."""
        return draw(run, now, ITEMS, COLUMNS)

    def show(self, messages: Sequence[tuple[str, str]], drawn: RenderableType | None) -> None:
        """Show the messages (style, text) and the display below them."""
        self._left_out += max(len(self._messages) + len(messages) - MESSAGES, 0)
        self._messages.extend(messages)
        self._drawn = drawn
        if drawn is None or time.monotonic() - self._shown_at >= PERIOD:
            self._update()

    def stop(self) -> None:
        """Leave only the messages."""
        self._drawn = None
        self._update()

    def _update(self) -> None:
        ipython: Any = import_module("IPython.display")  # a notebook has it
        lines: list[RenderableType] = [Text(text, style) for style, text in self._messages]
        if self._left_out:
            lines.insert(0, Text(f"... {self._left_out} messages are left out here", "dim"))
        if self._drawn is not None:
            lines.append(self._drawn)
        if not lines and self._handle is None:
            return
        page = ipython.HTML(_html(Group(*lines)))
        self._shown_at = time.monotonic()
        if self._handle is None:
            self._handle = ipython.display(page, display_id=True)
        else:
            self._handle.update(page)


def _html(drawn: RenderableType) -> str:
    console = Console(
        file=io.StringIO(), record=True, width=COLUMNS, highlight=False, force_terminal=True, force_jupyter=False
    )
    console.print(drawn)
    return console.export_html(inline_styles=True, code_format=f'<pre style="{_STYLE}">{{code}}</pre>')
