"""The live display itself: a view of the run drawn with rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from argosy.toolkit.text import size_text, time_text
from argosy_plugins.observers._board import Row, View

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

#: Below so many columns, the words that explain the figures are left out.
WIDE = 84

#: Lines of the screen that are left to messages, and to the bar.
KEPT_FREE = 4

#: Columns that are left free: a terminal may think a character wider than rich does, and shows Ctrl-C as ^C behind the
#: last line. A line that it breaks stays behind when the display is drawn again.
KEPT_FREE_COLUMNS = 3


class Display:
    """Writes to standard error; used by one thread."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        # is_terminal alone is also true for a file where FORCE_COLOR is set
        self._living = self._console.file.isatty() and not self._console.is_dumb_terminal
        self._live: Live | None = None

    @property
    def most_rows(self) -> int:
        """How many items have room."""
        return max(self._console.size.height - KEPT_FREE, 1)

    def show(self, messages: Sequence[tuple[str, str]], view: View | None) -> None:
        """Print the messages (style, text), and draw the view below them."""
        from rich.text import Text

        if view is not None and self._living:
            drawn = draw(view, max(self._console.size.width - KEPT_FREE_COLUMNS, 1))
            if self._live is None:
                self._live = self._start(drawn)
            else:
                self._live.update(drawn, refresh=not messages)
        if messages:  # in one piece: each print draws the display again
            lines = Text("\n").join(Text(text, style) for style, text in messages)
            self._console.print(lines, soft_wrap=not self._living)

    def stop(self) -> None:
        """Take the display away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _start(self, drawn: RenderableType) -> Live:
        from rich.live import Live

        # standard output may carry events or be a pipe: it is nobody's business here
        live = Live(
            drawn,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        live.start(refresh=True)
        # a process that is ended hard cannot show a hidden cursor again
        self._console.show_cursor(True)
        return live


def draw(view: View, width: int) -> RenderableType:
    """Return the bar and the lines below it, for a terminal of so many columns."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [_bar(view, width), *(_line(row, width) for row in view.rows)]
    if view.more:
        lines.append(Text(f"  ... and {view.more} more", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _bar(view: View, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDE
    total = "" if view.to_do is None else f"/{view.to_do}"
    count = Text(f"{view.done + view.failed}{total}{' items' if wide else ''}", style="bold")
    if view.failed:
        count.append(f" {view.failed} failed", style="red")
    amount = size_text(view.bytes).rjust(8)
    if wide and view.promised:
        amount = f"{amount} of {size_text(view.promised)}"
    left = ""
    if view.seconds_left is not None:
        left = time_text(round(view.seconds_left)).replace(".0 s", " s") + (" left" if wide else "")
    figures = Text(f"{amount} {size_text(view.speed) + '/s':>10} {left:>{16 if wide else 11}}")
    table = Table.grid(padding=(0, 1))
    table.width = width
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, overflow="ellipsis", justify="right")
    fraction = view.fraction
    table.add_row(count, ProgressBar(total=1.0, completed=fraction or 0.0), figures)
    return table


def _line(row: Row, width: int) -> Text:
    """Return a line of exactly so many columns: the title to the left, the figures to the right."""
    from rich.text import Text

    if row.waits:
        right = Text(row.waits, style="yellow")
        right.truncate(max(width // 2, 1), overflow="ellipsis")
    else:
        right = Text(f"{row.amount} {row.speed:>10}", style="green")
    line = Text(f"  {row.title}", no_wrap=True, overflow="crop")
    line.truncate(max(width - right.cell_len - 2, 1), overflow="ellipsis", pad=True)
    line.append("  ")
    return line.append_text(right)
