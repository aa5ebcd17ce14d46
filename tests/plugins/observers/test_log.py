"""The plain lines of the observer log."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy_plugins.observers.log import LogObserver

START = 1_700_000_000.0


@pytest.fixture
def log() -> LogObserver:
    return LogObserver({}, PluginContext())


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was written, without the times."""
    out, err = capsys.readouterr()
    assert out == ""
    found = err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in found)
    return [line[9:] for line in found]


def test_the_reading_of_a_long_list(
    log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds, items in enumerate(range(0, 2500, 100)):
        log.on_event(replace(event("run.listing", items=items), at=START + seconds))
    log.on_event(replace(event("run.planned", items=2500, to_do=2500, done=0), at=START + 25))
    assert lines(capsys) == [
        "reading the list: 1000 items",
        "reading the list: 2000 items",
        "plan: 2500 of 2500 items to do; 0 done already",
    ]


def test_a_run(log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]) -> None:
    log.on_event(
        event("run.started", directory="lib", strategy="threads", max_workers=4, lease="exclusive", sessions=1)
    )
    log.on_event(event("run.planned", items=10, to_do=4, done=6, bytes=2_500_000))
    log.on_event(event("session.login", number=1, reason="there is no session yet"))
    log.on_event(event("item.started", "b1", title="One", resources=1))
    log.on_event(event("resource.waiting", "b1", **{"for": "lease"}))
    log.on_event(event("resource.retry", "b1", url="u", attempt=1, cause="503", seconds=2))
    log.on_event(event("resource.progress", "b1", bytes=1000))
    log.on_event(event("item.finished", "b1", state="done", bytes=1000, seconds=2.5, files=1, failure=None))
    log.on_event(event("item.finished", "b2", state="failed", bytes=0, seconds=1, files=0, failure="It is gone."))
    log.on_event(event("item.finished", "b3", state="requeued", bytes=0, seconds=1, files=0, failure=None))
    log.on_event(event("run.notice", message="Look."))
    log.on_event(event("run.stopping", message="The disk is full."))
    log.on_event(event("run.finished"))
    log.close()
    assert lines(capsys) == [
        "start: into lib, strategy threads, at most 4 at once, lease exclusive, sessions 1",
        "plan: 4 of 10 items to do, 2.5 MB; 6 done already",
        "login 1: there is no session yet",
        "retry b1: attempt 1 in 2.0 s: 503",
        "done b1: 1 file, 1.0 kB in 2.5 s",
        "failed b2: It is gone.",
        "put back b3: left for the next run",
        "notice: Look.",
        "stopping: The disk is full.",
    ]


def test_progress_comes_every_ten_seconds(
    log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    log.on_event(event("run.planned", at=START, items=3, to_do=3, done=0, bytes=0))
    log.on_event(event("item.finished", "b1", at=START, state="failed", failure="No."))
    capsys.readouterr()
    for tenth in range(1, 251):
        log.on_event(event("resource.progress", "b2", at=START + tenth / 10, bytes=100_000))
    assert lines(capsys) == [
        "progress: 1 of 3 items, 1 failed, 10.0 MB, 1.0 MB/s",
        "progress: 1 of 3 items, 1 failed, 20.0 MB, 1.0 MB/s",
    ]


def test_progress_goes_on_when_the_clock_is_set_back(
    log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    for at in (START, START - 5000, START - 4990):
        log.on_event(event("resource.progress", "b1", at=at, bytes=1000))
    assert lines(capsys) == ["progress: 0 items, 3.0 kB, 100 B/s"]


def test_nobody_forges_a_line(
    log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    log.on_event(event("item.finished", "b\n1", state="failed", failure="\x1b[2Jno\r\n12:00:00 done b2"))
    assert lines(capsys) == ["failed b 1: \\u001b[2Jno 12:00:00 done b2"]


def test_a_long_wait_that_a_host_asks_for_gets_one_line(
    log: LogObserver, event: Callable[..., Event], capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(at: float, **data: Any) -> None:
        log.on_event(
            replace(event("resource.waiting", "b1", **{"for": "delay", "host": "a.example", **data}), at=START + at)
        )

    wait(0, why="throttled", seconds=12.0)
    wait(0.1, why="throttled", seconds=12.1)
    wait(1, why="delay", seconds=60.0)
    wait(2, why="throttled", seconds=1.0)
    wait(20, why="throttled", seconds=70.0)
    assert [line for line in lines(capsys) if "waiting" in line] == [
        "waiting: a.example limits the rate, 12.0 s left",
        "waiting: a.example limits the rate, 1 min 10 s left",
    ]
