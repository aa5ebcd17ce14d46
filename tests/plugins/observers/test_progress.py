"""The live display on a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Callable, Iterator

import pytest

from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy_plugins.observers.progress import ProgressObserver, _message

MakeEvent = Callable[..., Event]


class Terminal:
    """A terminal of 60 columns and 12 rows as standard error."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        self.stderr = os.fdopen(slave, "w", encoding="utf-8")
        self.seen = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)

    def start(self) -> None:
        """Take what is written; until then, the terminal is stopped as with Ctrl-S."""
        self._reader.start()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text.encode() in self.seen, 60), self.seen

    def end(self) -> str:
        self.stderr.close()
        self._reader.join()
        os.close(self._master)
        return self.seen.decode()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # the other end is closed
                return
            with self._changed:
                self.seen += piece
                self._changed.notify_all()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    yield terminal
    terminal.stderr.close()


@pytest.fixture
def attach(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Make the terminal standard error; called in the test itself, as pytest sets its own before that."""

    def attached() -> Terminal:
        monkeypatch.setattr(sys, "stderr", terminal.stderr)
        return terminal

    return attached


def test_messages_stay_and_the_display_goes(attach: Callable[[], Terminal], event: MakeEvent) -> None:
    terminal = attach()
    terminal.start()
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("run.planned", items=2, to_do=2, done=0, bytes=0))
    observer.on_event(event("item.started", "b1", title="First [red]book[/red]", resources=1))
    observer.on_event(event("item.started", "b2", title="Second", resources=1))
    terminal.wait_for("First [red]book[/red]")
    sys.stderr.write("a stray line\n")  # goes above the display, as it is
    observer.on_event(event("item.finished", "b1", state="failed", failure="\x1b[2J[i]gone[/i]"))
    observer.on_event(event("session.login", number=1, reason="none yet"))
    observer.on_event(event("run.notice", message="Look."))
    observer.on_event(event("run.stopping", message="Enough."))
    observer.close()
    observer.close()
    assert sys.stderr is terminal.stderr
    seen = terminal.end()
    for text in (
        "2 of 2 items to download",
        "a stray line",
        "failed b1: \\u001b[2J[i]gone[/i]",
        "login 1: none yet",
        "notice: Look.",
        "stopping: Enough.",
    ):
        assert text in seen
    assert "\x1b[2J" not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert seen.rindex("Second") < seen.rindex("\x1b[2K") < seen.rindex("stopping: Enough.")


def test_a_long_list_is_counted_while_it_is_read(attach: Callable[[], Terminal], event: MakeEvent) -> None:
    terminal = attach()
    terminal.start()
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("run.listing", items=300))
    terminal.wait_for("Reading the list: 300 items")
    observer.on_event(event("run.planned", items=300, to_do=300, done=0, bytes=0))
    terminal.wait_for("0/300")
    observer.close()
    assert terminal.end().rindex("Reading the list") < terminal.seen.decode().rindex("0/300")


def test_nothing_is_drawn_over_a_prompt_before_the_first_item(attach: Callable[[], Terminal], event: MakeEvent) -> None:
    terminal = attach()
    terminal.start()
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("run.planned", items=2, to_do=2, done=0, bytes=0))
    observer.on_event(event("run.notice", message="Look."))
    terminal.wait_for("Look.")
    observer.close()
    seen = terminal.end()
    assert "\x1b[2K" not in seen
    assert "\x1b[?25l" not in seen


def test_a_stopped_terminal_delays_nothing(attach: Callable[[], Terminal], event: MakeEvent) -> None:
    terminal = attach()
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("item.started", "b1", title="T", resources=1))
    for number in range(5000):  # far more than a terminal's buffer takes
        observer.on_event(event("run.notice", message=f"{number} " + "x" * 200))
    terminal.start()
    observer.close()
    seen = terminal.end()
    assert "notice: 4999" in seen
    assert "messages are left out here" in seen


def test_close_without_any_event_writes_nothing(attach: Callable[[], Terminal]) -> None:
    terminal = attach()
    terminal.start()
    ProgressObserver({}, PluginContext()).close()
    assert terminal.end() == ""


def test_a_display_that_fails_is_told_to_the_run(event: MakeEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = io.TextIOWrapper(io.FileIO(os.open(os.devnull, os.O_RDONLY), "r"), "utf-8")
    monkeypatch.setattr(sys, "stderr", broken)  # nothing can be written to it
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("run.notice", message="Look."))
    observer.close()
    with pytest.raises(OSError, match="not writable"):
        observer.on_event(event("run.notice", message="Look again."))
    broken.detach().close()


def test_a_file_gets_the_messages_alone(event: MakeEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    observer = ProgressObserver({}, PluginContext())
    observer.on_event(event("item.started", "b1", title="A title", resources=1))
    observer.on_event(event("item.finished", "b1", state="failed", failure="x" * 150))
    observer.close()
    assert f"failed b1: {'x' * 150}" in file.getvalue()
    assert "A title" not in file.getvalue()
    assert "\x1b[2K" not in file.getvalue()


def test_a_plan_counts_as_people_do(event: MakeEvent) -> None:
    def said(**data: int) -> str | None:
        told = _message(event("run.planned", **data))
        return told[1] if told else None

    assert said(items=12, to_do=0, done=12, remade=0) is None  # the summary tells
    assert said(items=1, to_do=1, done=0, remade=0) == "1 of 1 item to download"
    assert said(items=3, to_do=2, done=1, remade=2) == "2 of 3 items to make more of (1 done already)"
