"""The outcomes of a strategy, each checked against the jobs that it was given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from argosy.errors import ArgosyError, PluginError
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome
from argosy.toolkit.failures import describe_exception


def outcomes_of(
    strategy: Strategy, jobs: Iterator[Job], work: Work, max_workers: int, scrub: Callable[[str], str]
) -> Generator[Outcome, None, None]:
    """Yield one outcome for each job that a strategy takes.

    Parameters
    ----------
    strategy, jobs, work, max_workers
        As for `Strategy.run`.
    scrub
        Takes secrets out of what a failing strategy says.

    Raises
    ------
    PluginError
        If it fails, yields something else, one outcome twice, or ends without one that is due.
    """
    taken: set[str] = set()  # no more than are at work

    def counted() -> Iterator[Job]:
        for job in jobs:
            taken.add(job.item.id)
            yield job

    try:
        for outcome in strategy.run(counted(), work, max_workers):
            found: object = outcome  # a plugin may yield anything
            if not isinstance(found, Outcome):
                raise _Broken(f"it yielded {type(found).__name__} where an Outcome is expected")
            if found.item not in taken:
                raise _Broken(f"it yielded an outcome for {found.item!r}, for which none is due")
            taken.remove(found.item)
            yield found
        if taken:
            raise _Broken(f"it ended without an outcome for {len(taken)} of its jobs")
    except ArgosyError:
        raise
    except _Broken as error:
        raise _failed(strategy, scrub(str(error))) from None
    except (Exception, SystemExit) as error:
        raise _failed(strategy, scrub(describe_exception(error, strategy))) from None


class _Broken(Exception):
    """A strategy broke its contract."""


def _failed(strategy: Strategy, what: str) -> PluginError:
    return PluginError(
        f"The strategy {strategy.name!r} failed: {what}.",
        hint="Everything done so far is kept; go on with another strategy (--strategy serial).",
        plugin=strategy.name,
    )
