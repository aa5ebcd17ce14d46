"""What the progress display shows of a run."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from argosy.events import Event
from argosy_plugins.observers import _display
from argosy_plugins.observers._progress import RunProgress, Speed

MakeEvent = Callable[..., Event]


def drawn(run: RunProgress, now: float, most: int = 5, width: int = 100) -> list[str]:
    """Return the bar and the lines below it."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=20)
    console.print(_display.draw(run, now, most, width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_an_item_from_its_start_to_its_end(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=3, to_do=2, done=1, bytes=4000), 0)
    run.take(event("item.started", "b1", title="One", resources=2), 0)
    run.take(event("resource.waiting", "b1", **{"for": "lease"}), 0)
    assert drawn(run, 0)[1].endswith("waiting for the session")
    run.take(event("resource.started", "b1", url="u", path="p", size=1500), 1)
    run.take(event("resource.progress", "b1", bytes=500), 1)
    bar, line = drawn(run, 2)
    assert line.split() == ["One", "1/2", "500", "B", "of", "1.5", "kB", "250", "B/s"]
    assert bar.startswith("0/2 ")
    assert bar.split()[-9:] == ["B", "of", "4.0", "kB", "250", "B/s", "7", "s", "left"]
    assert (run.bytes, run.fraction) == (500, 0.125)
    run.take(event("resource.progress", "b1", bytes=1000), 2)
    run.take(event("resource.finished", "b1", bytes=1500), 2)
    run.take(event("item.finished", "b1", state="done", bytes=1500), 2)
    assert (run.done, run.failed, run.bytes, len(drawn(run, 2))) == (1, 0, 1500, 1)


def test_a_retry_counts_down_and_starts_again(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("item.started", "b1", title="One", resources=1), 0)
    run.take(event("resource.started", "b1", size=None), 0)
    run.take(event("resource.progress", "b1", bytes=500), 0)
    run.take(event("resource.retry", "b1", attempt=2, cause="cut\noff", seconds=4), 10)
    assert drawn(run, 11)[1].endswith("3.0 s: retry 2: cut off")
    assert drawn(run, 15)[1].split(maxsplit=1)[1].strip() == "retry 2: cut off"
    assert run.bytes == 0
    run.take(event("resource.progress", "b1", bytes=10), 15)
    assert "retry" not in drawn(run, 15)[1]


def test_a_new_wait_does_not_inherit_a_countdown(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("item.started", "b1", title="One", resources=1), 0)
    run.take(event("resource.retry", "b1", attempt=1, cause="503", seconds=60), 0)
    run.take(event("resource.waiting", "b1", **{"for": "login"}), 1)
    assert drawn(run, 1)[1].split(maxsplit=1)[1].strip() == "logging in"


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ({"for": "login", "host": "library.example"}, "logging in at library.example"),
        (
            {"for": "delay", "why": "throttled", "host": "a.example", "seconds": 12.0},
            "12.0 s: a.example limits the rate",
        ),
        (
            {"for": "delay", "why": "down", "host": "a.example", "seconds": 4, "since": 40},
            "4.0 s: a.example is down for 40.0 s",
        ),
        ({"for": "delay", "why": "down", "host": "a.example"}, "a.example is down"),
        ({"for": "delay", "why": "delay", "seconds": 2}, "2.0 s: waiting (download delay)"),
    ],
)
def test_a_wait_says_what_for(event: MakeEvent, data: dict[str, Any], end: str) -> None:
    run = RunProgress()
    run.take(event("item.started", "b1", title="One", resources=1), 0)
    run.take(event("resource.waiting", "b1", **data), 0)
    assert drawn(run, 0, width=80)[1].endswith(end)


def test_more_items_than_lines(event: MakeEvent) -> None:
    run = RunProgress()
    for number in range(10):
        run.take(event("item.started", f"b{number}", title=f"T{number}", resources=1), 0)
    assert [line.split()[0] for line in drawn(run, 0, most=4)[1:]] == ["T0", "T1", "T2", "..."]
    assert drawn(run, 0, most=4)[-1].strip() == "... and 7 more"
    assert len(drawn(run, 0, most=10)) == 11
    assert drawn(run, 0, most=1)[1:] == ["  ... and 10 more"]


def test_events_of_unknown_items_change_only_the_sums(event: MakeEvent) -> None:
    run = RunProgress()
    for kind in ("resource.progress", "resource.retry", "resource.waiting", "resource.started"):
        run.take(event(kind, "ghost"), 0)
    run.take(event("resource.finished", "ghost", bytes=5), 0)
    run.take(event("item.finished", "ghost", state="failed", bytes=5), 0)
    run.take(event("item.finished", "other", state="done", bytes=5), 0)
    run.take(event("resource.progress", "other", bytes=5), 0)
    assert (run.active, run.done, run.failed, run.bytes) == ({}, 1, 1, 10)


def test_an_item_that_is_put_back_counts_neither_way(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("item.started", "b1", title="T", resources=1), 0)
    run.take(event("resource.progress", "b1", bytes=5), 0)
    run.take(event("item.finished", "b1", state="requeued", bytes=5), 0)
    assert (run.done, run.failed, run.bytes, run.active) == (0, 0, 0, {})


@pytest.mark.parametrize(("promised", "fraction"), [(0, 0.25), (2000, 0.5), (10, 0.25)])
def test_the_bar_goes_by_bytes_if_they_are_announced(event: MakeEvent, promised: int, fraction: float) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=4, to_do=4, done=0, bytes=promised), 0)
    run.take(event("item.finished", "b1", state="done", bytes=1000), 0)
    assert run.fraction == fraction


def test_time_left_goes_by_items_if_no_bytes_are_announced(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=4, to_do=4, done=0, bytes=0), 0)
    run.take(event("item.started", "b1", title="T", resources=1), 100)
    assert run.seconds_left(101, 0.0) is None
    run.take(event("item.finished", "b1", state="done", bytes=1000), 110)
    assert run.seconds_left(110, 0.0) == 30


def test_a_single_url_has_a_total_and_a_time_left_once_the_service_tells_its_size(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=1, to_do=1, done=0, bytes=0), 0)
    run.take(event("item.started", "b1", title="One", resources=1), 0)
    assert (run.total, run.fraction) == (None, 0.0)
    run.take(event("resource.started", "b1", size=4000), 0)
    run.take(event("resource.progress", "b1", bytes=1000), 2)
    assert (run.total, run.fraction, run.seconds_left(2, 500.0)) == (4000, 0.25, 6)
    assert drawn(run, 2, width=80)[0].split()[-9:] == ["kB", "of", "4.0", "kB", "0", "B/s", "6", "s", "left"]


def test_the_total_is_not_known_before_all_items_have_started(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=2, to_do=2, done=0, bytes=0), 0)
    run.take(event("item.started", "b1", title="One", resources=2), 0)
    run.take(event("resource.started", "b1", size=1000), 0)
    run.take(event("resource.progress", "b1", bytes=500), 2)
    assert (run.total, run.fraction, run.seconds_left(2, 0.0)) == (None, 0.125, 14)
    run.take(event("resource.finished", "b1", bytes=1000), 2)
    run.take(event("resource.started", "b1", size=200), 2)
    run.take(event("item.started", "b2", title="Two", resources=1), 2)
    assert run.total is None
    run.take(event("resource.started", "b2", size=300), 2)
    assert run.total == 1500


def test_the_time_left_does_not_grow_while_nothing_arrives(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=4, to_do=4, done=0, bytes=0), 0)
    run.take(event("item.started", "b1", title="T", resources=1), 0)
    run.take(event("item.finished", "b1", state="done", bytes=1000), 10)
    left = [run.seconds_left(now, 0.0) for now in (10, 70, 600)]
    assert left == [30, 30, 30]
    run.take(event("item.finished", "b2", state="done", bytes=1000), 3600)
    assert run.seconds_left(3600, 0.0) == 40


@pytest.mark.parametrize("width", [1, 2, 7, 8, 20, 200])
@pytest.mark.parametrize("text", ["chapter 1 of the long book, part 17", "短い題名の本、第十七部", ""])
def test_a_long_title_loses_its_middle(text: str, width: int) -> None:
    cut = _display.middle(text, width)
    assert cell_len(cut) == width
    if 7 < width < cell_len(text):
        assert (cut[0], cut[-1]) == (text[0], text[-1])


def test_a_title_is_shown_as_text_and_an_empty_one_by_the_id(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("item.started", "b1", title="a\x1b[2J\u202e[b]", resources=1), 0)
    run.take(event("item.started", "b2", title="", resources=1), 0)
    assert [line.split()[0] for line in drawn(run, 0)[1:]] == ["a\\u001b[2J\\u202e[b]", "b2"]


def test_a_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed()
    total = 0
    for second in range(100):
        total += 1000 if second < 50 else 10
        rate = speed.measure(second, total)
    assert rate == 10
    assert len(speed._points) < 10
    assert speed.measure(200, total) == 0


@pytest.mark.parametrize("width", [1, 10, 30, 59, 60, 99, 200])
def test_no_line_is_wider_than_the_terminal(event: MakeEvent, width: int) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=10**6, to_do=10**6, done=0, bytes=10**12), 0)
    titles = ["短い題名" * 30, "x" * 500, "plain", "👩\u200d🚀 ❤\ufe0f"]
    for number, title in enumerate(titles):
        run.take(event("item.started", str(number), title=title, resources=number + 1), 0)
        run.take(event("resource.started", str(number), size=123_400_000), 0)
        run.take(event("resource.progress", str(number), bytes=123_400_000), 0)
    run.take(event("resource.retry", "1", attempt=1, cause="words " * 50, seconds=3), 0)
    run.take(event("item.finished", "z", state="failed", bytes=10**9), 0)
    run.speed(0)
    lines = drawn(run, 1, 3, width)
    assert len(lines) == 4
    assert all(cell_len(line) <= width for line in lines)
    if width >= 60:
        assert "1/1000000" in lines[0]
        assert "B/s" in lines[0]
        assert lines[3].strip() == "... and 2 more"


def test_a_minute_without_a_byte_does_not_make_the_time_left_grow(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=1, to_do=1, done=0, bytes=100_000), 0)
    run.take(event("item.started", "b1", title="One", resources=1), 0)
    run.take(event("resource.started", "b1", url="u", path="p", size=100_000), 0)

    def left(now: float) -> float:
        seconds = run.seconds_left(now, run.speed(now))
        assert seconds is not None
        return seconds

    for second in range(1, 21):
        run.take(event("resource.progress", "b1", bytes=1000), second)
        before = left(second)
    assert before == pytest.approx(80, rel=0.1)
    assert all(left(20 + tenth / 10) <= before for tenth in range(1, 601))
    for second in range(80, 85):  # and neither once bytes come again
        run.take(event("resource.progress", "b1", bytes=1000), second)
        assert left(second) <= before * 1.25


def test_the_delay_between_requests_counts_as_work(event: MakeEvent) -> None:
    run = RunProgress()
    run.take(event("run.planned", items=4, to_do=4, done=0, bytes=4000), 0)
    for number in range(2):
        run.take(event("item.started", f"b{number}", title="One", resources=1), 100 * number)
        run.take(event("resource.waiting", f"b{number}", **{"for": "delay"}), 100 * number)
        run.take(event("resource.started", f"b{number}", size=1000), 100 * number + 99)
        run.take(event("resource.progress", f"b{number}", bytes=1000), 100 * number + 100)
        run.take(event("item.finished", f"b{number}", state="done", bytes=1000), 100 * number + 100)
    assert run.seconds_left(200, 0.0) == 200
