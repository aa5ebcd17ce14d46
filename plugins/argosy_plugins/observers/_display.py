"""The live display: the progress of a run, drawn with rich."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from argosy.toolkit.text import size_text, time_text
from argosy_plugins.observers._progress import ItemProgress, RunProgress

#: Lines of the screen that are left to messages and to the bar.
FREE_LINES = 4

#: Columns from which the bar shows the size of the run.
WIDE = 75

#: Columns that stay free: a terminal may think a character wider than rich does, and shows Ctrl-C as ^C behind the last
#: line. A line that the terminal breaks stays behind when the display is drawn again.
FREE_COLUMNS = 3


class Display:
    """Writes to standard error; only one thread may use it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        # is_terminal alone is also true for a file if FORCE_COLOR is set
        self._is_live = self._console.file.isatty() and not self._console.is_dumb_terminal
        self._live: Live | None = None

    def draw(self, run: RunProgress, now: float) -> RenderableType | None:
        """Return what `show` shows below the messages, to fit the terminal; None if it is no terminal."""
        if not self._is_live:
            return None
        size = self._console.size
        return draw(run, now, max(size.height - FREE_LINES, 1), max(size.width - FREE_COLUMNS, 1))

    def show(self, messages: Sequence[tuple[str, str]], drawn: RenderableType | None) -> None:
        """Print the messages (style, text), and update the display below them."""
        if drawn is not None and self._live is None:
            # standard output may carry events or be a pipe, so it is not redirected
            self._live = Live(drawn, console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.vertical_overflow = "crop"
            self._live.start(refresh=True)
            self._console.show_cursor(True)  # a killed process cannot show a hidden cursor again
        elif drawn is not None and self._live is not None:
            self._live.update(drawn, refresh=not messages)
        if messages:  # in one piece: each print draws the display again
            lines = Text("\n").join(Text(text, style) for style, text in messages)
            self._console.print(lines, soft_wrap=not self._is_live)

    def stop(self) -> None:
        """Remove the display."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def is_notebook() -> bool:
    """Return whether this program is the kernel of a notebook."""
    return Console().is_jupyter


def draw(run: RunProgress, now: float, most: int, width: int) -> RenderableType:
    """Return the bar and at most `most` lines of items below it, for a terminal of this width."""
    if run.listed is not None:
        return Text(f"Reading the list: {run.listed} item{'s'[: run.listed != 1]}", no_wrap=True, overflow="ellipsis")
    shown = most if len(run.active) <= most else most - 1
    lines = [_draw_bar(run, now, width)]
    lines += [_draw_item(item, now, width) for item in islice(run.active.values(), shown)]
    if len(run.active) > shown:
        more = f"  ... and {len(run.active) - shown} more"
        lines.append(Text(more, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _draw_bar(run: RunProgress, now: float, width: int) -> RenderableType:
    count = Text(str(run.done + run.failed) + ("" if run.to_do is None else f"/{run.to_do}"), style="bold")
    if run.failed:
        count.append(f" {run.failed} failed", style="red")
    speed = run.speed(now)
    seconds = run.seconds_left(now, speed)
    left = "" if seconds is None else f"{time_text(round(seconds)).replace('.0 s', ' s')} left"
    of = f" of {size_text(run.total)}" if run.total and width >= WIDE else ""
    figures = Text(f"{size_text(run.bytes):>8}{of} {size_text(speed) + '/s':>10} {left:>15}")
    table = Table.grid(padding=(0, 1))
    table.width = width
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, overflow="ellipsis", justify="right")
    table.add_row(count, ProgressBar(total=1.0, completed=run.fraction), figures)
    return table


def _draw_item(item: ItemProgress, now: float, width: int) -> RenderableType:
    """Return a line of exactly this width: the title to the left, the figures to the right."""
    speed = item.speed.measure(now, item.received)
    if item.waits:
        is_timed = item.until is not None and item.until > now
        wait = f"{time_text((item.until or now) - now)}: " if is_timed else ""
        right = Text(f"{wait}{item.waits}", style="yellow")
        right.truncate(max(width * 2 // 3, 1), overflow="ellipsis")
    else:
        amount = f"{min(item.finished + 1, item.resources)}/{item.resources}  " if item.resources > 1 else ""
        amount += size_text(item.bytes) + (f" of {size_text(item.size)}" if item.size else "")
        right = Text(f"{amount} {size_text(speed) + '/s' if speed else '':>10}", style="green")
    line = Text(middle(f"  {item.title}", max(width - right.cell_len - 2, 1)), no_wrap=True, overflow="crop")
    line.append("  ")
    return line.append_text(right)


def middle(text: str, width: int) -> str:
    """Return text in exactly so many columns; if it is too long, without its middle, as titles often differ at the end."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    tail = text[len(text) - (width - 1) // 2 :]
    while cell_len(tail) > (width - 1) // 2:
        tail = tail[1:]
    return set_cell_size(text, max(width - 1 - cell_len(tail), 0)) + ("…" if width > 0 else "") + tail
