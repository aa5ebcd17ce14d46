"""What a progress display shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from argosy.events import Event
from argosy_plugins.observers._board import MOST_ACTIVE, Board, Meter

MakeEvent = Callable[..., Event]


def test_an_item_from_its_start_to_its_end(event: MakeEvent) -> None:
    board = Board()
    board.take(event("run.planned", items=3, to_do=2, done=1, bytes=4000), 0)
    board.take(event("item.started", "b1", title="One", resources=2), 0)
    board.take(event("resource.waiting", "b1", **{"for": "lease"}), 0)
    assert board.view(0, 5).rows[0].waits == "waiting for the session"
    board.take(event("resource.started", "b1", url="u", path="p", size=1500), 1)
    board.take(event("resource.progress", "b1", bytes=500), 1)
    view = board.view(2, 5)
    row = view.rows[0]
    assert (row.title, row.amount, row.speed, row.waits) == ("One", "1/2  500 B of 1.5 kB", "250 B/s", "")
    assert (view.bytes, view.fraction, view.speed, view.seconds_left) == (500, 0.125, 250, 14)
    board.take(event("resource.progress", "b1", bytes=1000), 2)
    board.take(event("resource.finished", "b1", bytes=1500), 2)
    board.take(event("item.finished", "b1", state="done", bytes=1500), 2)
    view = board.view(2, 5)
    assert (view.done, view.failed, view.to_do, view.bytes, view.rows) == (1, 0, 2, 1500, ())


def test_a_retry_counts_down_and_begins_anew(event: MakeEvent) -> None:
    board = Board()
    board.take(event("item.started", "b1", title="One", resources=1), 0)
    board.take(event("resource.started", "b1", size=None), 0)
    board.take(event("resource.progress", "b1", bytes=500), 0)
    board.take(event("resource.retry", "b1", attempt=2, cause="cut\noff", seconds=4), 10)
    assert board.view(11, 5).rows[0].waits == "3.0 s: retry 2, cut off"
    assert board.view(15, 5).rows[0].waits == "retry 2, cut off"
    assert board.view(15, 5).bytes == 0
    board.take(event("resource.progress", "b1", bytes=10), 15)
    assert board.view(15, 5).rows[0].waits == ""


def test_a_new_wait_does_not_inherit_a_countdown(event: MakeEvent) -> None:
    board = Board()
    board.take(event("item.started", "b1", title="One", resources=1), 0)
    board.take(event("resource.retry", "b1", attempt=1, cause="503", seconds=60), 0)
    board.take(event("resource.waiting", "b1", **{"for": "login"}), 1)
    assert board.view(1, 5).rows[0].waits == "logging in"


def test_more_items_than_rows(event: MakeEvent) -> None:
    board = Board()
    for number in range(10):
        board.take(event("item.started", f"b{number}", title=f"T{number}", resources=1), 0)
    view = board.view(0, 4)
    assert ([row.title for row in view.rows], view.more) == (["T0", "T1", "T2"], 7)
    assert board.view(0, 10).more == 0
    assert (len(board.view(0, 1).rows), board.view(0, 1).more) == (0, 10)


def test_events_of_unknown_items_change_the_sums_alone(event: MakeEvent) -> None:
    board = Board()
    for kind in ("resource.progress", "resource.retry", "resource.waiting", "resource.started"):
        board.take(event(kind, "ghost"), 0)
    board.take(event("resource.finished", "ghost", bytes=5), 0)
    board.take(event("item.finished", "ghost", state="failed", bytes=5), 0)
    board.take(event("item.finished", "other", state="done", bytes=5), 0)
    board.take(event("resource.progress", "other", bytes=5), 0)
    view = board.view(0, 5)
    assert (view.rows, view.done, view.failed, view.bytes) == ((), 1, 1, 10)


def test_items_that_never_end_do_not_pile_up(event: MakeEvent) -> None:
    board = Board()
    for number in range(MOST_ACTIVE + 100):
        board.take(event("item.started", str(number), title="T", resources=1), 0)
    view = board.view(0, 2)
    assert (view.rows[0].title, view.more) == ("T", MOST_ACTIVE - 1)


def test_an_item_that_is_put_back_counts_neither_way(event: MakeEvent) -> None:
    board = Board()
    board.take(event("item.started", "b1", title="T", resources=1), 0)
    board.take(event("resource.progress", "b1", bytes=5), 0)
    board.take(event("item.finished", "b1", state="requeued", bytes=5), 0)
    view = board.view(0, 2)
    assert (view.done, view.failed, view.bytes, view.rows) == (0, 0, 0, ())


@pytest.mark.parametrize(("promised", "fraction"), [(0, 0.25), (2000, 0.5), (10, 0.25)])
def test_the_bar_goes_by_bytes_where_they_are_promised(
    event: MakeEvent, promised: int, fraction: float
) -> None:
    board = Board()
    board.take(event("run.planned", items=4, to_do=4, done=0, bytes=promised), 0)
    board.take(event("item.finished", "b1", state="done", bytes=1000), 0)
    assert board.view(0, 5).fraction == fraction


def test_time_left_goes_by_items_where_nothing_is_promised(event: MakeEvent) -> None:
    board = Board()
    board.take(event("run.planned", items=4, to_do=4, done=0, bytes=0), 0)
    board.take(event("item.started", "b1", title="T", resources=1), 100)
    assert board.view(101, 5).seconds_left is None
    board.take(event("item.finished", "b1", state="done", bytes=1000), 110)
    assert board.view(110, 5).seconds_left == 30


def test_a_title_is_shown_as_text_and_an_empty_one_by_the_id(event: MakeEvent) -> None:
    board = Board()
    board.take(event("item.started", "b1", title="a\x1b[2J\u202e[b]", resources=1), 0)
    board.take(event("item.started", "b2", title="", resources=1), 0)
    assert [row.title for row in board.view(0, 5).rows] == ["a\\u001b[2J\\u202e[b]", "b2"]


def test_a_speed_is_that_of_the_last_seconds() -> None:
    meter = Meter()
    total = 0
    for second in range(100):
        total += 1000 if second < 50 else 10
        rate = meter.rate(second, total)
    assert rate == 10
    assert len(meter._points) < 10
    assert meter.rate(200, total) == 0
