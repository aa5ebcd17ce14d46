"""Small items travel to a cluster in groups."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator

import pytest

from argosy.models.items import Item, Job, Outcome, State
from argosy_dask.strategy import GROUP_SECONDS, MOST_IN_GROUP, Group, Groups


def jobs(count: int) -> list[Job]:
    return [
        Job(Item(f"item-{number}", "An item", metadata={"text": "The same in each of them"})) for number in range(count)
    ]


def outcomes(some: list[Job], seconds: float) -> list[Outcome]:
    return [Outcome(job.item.id, State.DONE, seconds=seconds) for job in some]


def trained(some: Iterable[Job], seconds: float) -> Groups:
    """Return groups of one worker that knows how long jobs take."""
    groups = Groups(some, 1)
    groups.learn(outcomes(jobs(100), seconds))
    return groups


def test_items_go_alone_until_it_is_known_how_long_they_take() -> None:
    groups = Groups(jobs(100), 2)
    for _ in range(2 * 8):
        taken = groups.take()
        assert len(taken) == 1
        groups.learn(outcomes(taken, 0.01))
    assert len(groups.take()) > 1


@pytest.mark.parametrize(("seconds", "size"), [(0.0, MOST_IN_GROUP), (GROUP_SECONDS / 4.5, 4), (GROUP_SECONDS * 3, 1)])
def test_a_group_takes_a_worker_a_moment(seconds: float, size: int) -> None:
    groups = trained(jobs(100), seconds)
    assert len(groups.take()) == size


def test_processes_of_one_machine_get_no_groups() -> None:
    groups = Groups(jobs(100), 0)
    for _ in range(50):
        taken = groups.take()
        assert len(taken) == 1
        groups.learn(outcomes(taken, 0.0))


def test_what_comes_back_goes_again_and_what_kills_workers_goes_alone() -> None:
    some = jobs(100)
    groups = trained(some, 0.0)
    first = groups.take()
    assert len(first) > 3
    groups.give_back(first[:2])
    groups.give_back(first[2:], alone=True)
    assert groups.has_some_back
    assert [groups.take() for _ in first[2:]] == [[job] for job in first[2:]]
    assert groups.take()[:2] == first[:2]
    assert not groups.has_some_back


def test_a_source_that_breaks_loses_no_job() -> None:
    def broken() -> Iterator[Job]:
        yield from jobs(25)
        raise LookupError("the source broke")

    groups = trained(broken(), 0.2)
    taken = groups.take()
    taken += groups.take()
    assert len(taken) < 25
    with pytest.raises(LookupError):
        groups.take()
    while groups.has_some_back:
        taken += groups.take()
    assert taken == jobs(25)


def test_a_group_is_packed_with_what_both_ends_know() -> None:
    group = Group(jobs(4), pickle.dumps)
    done = outcomes(group.jobs, 0.5)
    text = zlib.decompress(group.packed)
    assert pickle.loads(text) == group.jobs
    compressor = zlib.compressobj(zdict=text)
    packed = compressor.compress(pickle.dumps(done)) + compressor.flush()
    assert group.unpack(packed) == done
