"""What never returns is waited for only so long."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from argosy.plugins.blame import TooLong, bounded


@pytest.mark.parametrize("seconds", [0, 60.0])
def test_what_is_returned_is_returned(seconds: float) -> None:
    assert bounded(lambda: "made", seconds) == "made"


@pytest.mark.parametrize("seconds", [0, 60.0])
@pytest.mark.parametrize("error", [KeyError("year"), SystemExit("over"), TimeoutError("its own")])
def test_what_is_raised_is_raised(seconds: float, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        bounded(fail, seconds)
    assert raised.value is error
    assert raised.traceback[-1].name == "fail", "the place of the mistake is known"


def test_what_does_not_return_is_left() -> None:
    go_on, over = threading.Event(), threading.Event()

    def hang() -> None:
        go_on.wait()
        over.set()

    with pytest.raises(TooLong):
        bounded(hang, 0.05)
    go_on.set()
    assert over.wait(60), "it goes on in a thread of its own"


def test_what_comes_at_the_last_moment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Future.result

    def late(future: Any, seconds: float | None = None) -> Any:
        found = waits(future)  # it has come after all, between the end of the time and the look at it
        if seconds is not None:
            raise TimeoutError
        return found

    monkeypatch.setattr(Future, "result", late)
    assert bounded(lambda: "made", 60.0) == "made"


def test_no_time_is_no_thread() -> None:
    assert bounded(threading.current_thread, 0) is threading.current_thread()
    assert bounded(threading.current_thread, 60.0).daemon, "it is not waited for at the end of the process"
