"""A strategy that loses, repeats or invents outcomes ends the run, and is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from argosy.engine.run import outcomes_of
from argosy.errors import PluginError, StorageError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Item, Job, Outcome, State

Run = Callable[[Iterable[Job], Work], Any]


def work(job: Job) -> Outcome:
    return Outcome(job.item.id, State.DONE)


def outcomes(run: Run, jobs: int = 3, broken: Exception | None = None) -> Iterator[Outcome]:
    class Odd(Strategy):
        name = "odd"
        summary = "An odd one"

        def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
            found: Iterator[Outcome] = run(jobs, work)
            return found

    def given() -> Iterator[Job]:
        yield from (Job(Item(str(number), "")) for number in range(jobs))
        if broken is not None:
            raise broken

    return outcomes_of(Odd({}, PluginContext()), given(), work, 2)


def exits(jobs: Iterable[Job], work: Work) -> Any:
    raise SystemExit("why")


def twice(jobs: Iterable[Job], work: Work) -> Iterator[Outcome]:
    for job in jobs:
        yield from (work(job), work(job))


def test_the_outcomes_of_a_good_one_pass() -> None:
    assert [outcome.item for outcome in outcomes(lambda jobs, work: map(work, jobs))] == ["0", "1", "2"]
    assert list(outcomes(lambda jobs, work: map(work, jobs), jobs=0)) == []


@pytest.mark.parametrize(
    ("run", "passed", "words"),
    [
        (lambda jobs, work: iter([Outcome("9", State.DONE)]), 0, "item='9'.* not the outcome of an open job"),
        (twice, 1, "item='0'.* not the outcome of an open job"),
        (lambda jobs, work: iter([work(job) for job in jobs][:-1]), 2, "without an outcome for 1 of its jobs"),
        (lambda jobs, work: iter([7]), 0, "yielded 7"),
        (lambda jobs, work: 7, 0, "TypeError"),
        (lambda jobs, work: None, 0, "TypeError"),
        (exits, 0, r"SystemExit: why \(test_outcomes.py, line"),
    ],
)  # fmt: skip
def test_one_that_breaks_its_contract_is_named(run: Run, passed: int, words: str) -> None:
    seen: list[str] = []
    with pytest.raises(PluginError, match=rf"The strategy 'odd' failed: .*{words}"):
        seen.extend(outcome.item for outcome in outcomes(run))
    assert len(seen) == passed


def test_one_that_does_not_look_at_its_jobs_loses_none() -> None:
    assert list(outcomes(lambda jobs, work: iter(()))) == []


def test_an_error_of_the_run_is_no_mistake_of_the_strategy() -> None:
    with pytest.raises(StorageError, match="full"):
        list(outcomes(lambda jobs, work: map(work, jobs), broken=StorageError("full")))
