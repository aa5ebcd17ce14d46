"""The strategy `multiprocess`: what becomes of jobs whose processes die."""

from __future__ import annotations

import os
from typing import Any

import pytest

from argosy import Item, PluginContext
from argosy.models.items import Job, Resource, State
from argosy_plugins.strategies._pool import MOST_DEATHS
from argosy_plugins.strategies.multiprocess import MultiprocessStrategy
from deadly import Deadly, NotToBeHad


def make(notices: list[str], **options: Any) -> MultiprocessStrategy:
    return MultiprocessStrategy({"processes": 2, **options}, PluginContext(notice=notices.append))


def jobs(*titles: str) -> list[Job]:
    return [Job(Item(str(number), title)) for number, title in enumerate(titles)]


@pytest.mark.slow
def test_a_job_that_kills_its_processes_fails_alone() -> None:
    notices: list[str] = []
    outcomes = {o.item: o for o in make(notices).run(jobs("", "kills", "", "", "", ""), Deadly(), 2)}
    assert {item for item, outcome in outcomes.items() if outcome.state is State.DONE} == set("02345")
    failure = outcomes["1"].failure
    assert failure is not None
    assert (failure.kind, "signal 9" in failure.message) == ("crash", True)
    assert len(notices) == MOST_DEATHS


@pytest.mark.slow
def test_a_job_with_a_post_is_not_started_again_when_its_process_dies() -> None:
    notices: list[str] = []
    post = Resource("https://h/export", "a.csv", body="{}")
    given = [*jobs("", ""), Job(Item("post", "kills", (post,)))]
    outcomes = {o.item: o for o in make(notices).run(given, Deadly(), 2)}
    failure = outcomes["post"].failure
    assert failure is not None
    assert (failure.kind, "its POST may have been sent" in failure.message) == ("crash", True)
    assert len(notices) == 1


def test_work_is_done_in_other_processes() -> None:
    pids = {o.bytes for o in make([]).run(jobs(*[""] * 40), Deadly(), 4)}
    assert os.getpid() not in pids
    assert len(pids) == 2


def test_no_more_processes_than_workers() -> None:
    pids = {o.bytes for o in make([], processes=8).run(jobs(*[""] * 20), Deadly(), 1)}
    assert len(pids) == 1


def test_work_that_raises_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match="LookupError: nothing there"):
        list(make([]).run(jobs("", "raises", ""), Deadly(), 2))


def test_work_that_cannot_be_sent_is_said_at_once() -> None:
    with pytest.raises(Exception, match=r"pickle|local object"):
        list(make([]).run(jobs(""), lambda job: Deadly()(job), 2))


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_processes_that_never_get_ready_are_given_up(start_method: str) -> None:
    with pytest.raises(RuntimeError, match=r"died before they were ready \(exit code 3\)"):
        list(make([], start_method=start_method).run(jobs(*[""] * 30), NotToBeHad(), 2))
