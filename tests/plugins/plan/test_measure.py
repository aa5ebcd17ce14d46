"""What the requests of runs say about a service; times are given, so the right result is known."""

from __future__ import annotations

import pytest

from argosy.events import Event, EventKind
from argosy_plan.measure import Request, Requests, together


def run(workers: int, requests: list[Request], **facts: object) -> Requests:
    made = Requests()
    made.workers, made.done, made.items = workers, requests, len(requests)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def serial(count: int = 16) -> Requests:
    return run(1, [Request(n * 0.2, n * 0.2 + 0.05, n * 0.2 + 0.19, 1000) for n in range(count)])


def test_a_host_that_becomes_slower_is_the_limit() -> None:
    """Four workers, each of whose requests takes four times as long as one alone."""
    slow = [Request(n * 0.2, n * 0.2 + 0.2, n * 0.2 + 0.76, 1000) for n in range(40)]
    found = together([serial(), run(4, slow, lease="shared")])
    assert found.at_once == 1
    assert max(found.bodies) == pytest.approx(0.14)
    same = [Request(n * 0.05, n * 0.05 + 0.05, n * 0.05 + 0.19, 1000) for n in range(40)]
    assert together([serial(), run(4, same, lease="shared")]).at_once is None


def test_a_busy_processor_is_not_taken_for_a_slow_host() -> None:
    slow = [Request(n * 0.2, n * 0.2 + 0.2, n * 0.2 + 0.76, 1000) for n in range(40)]
    assert together([serial(), run(4, slow, lease="shared", computing=8.0)]).at_once is None


def test_requests_that_hardly_overlap_say_nothing_about_the_host() -> None:
    spaced = [Request(n * 1.0, n + 0.2, n + 0.7, 1000) for n in range(40)]
    assert together([serial(), run(4, spaced, lease="shared")]).at_once is None


def test_larger_bodies_are_not_taken_for_a_slow_host() -> None:
    large = [Request(n * 0.2, n * 0.2 + 0.05, n * 0.2 + 0.05 + 0.14 * 8, 8000) for n in range(40)]
    assert together([serial(), run(4, large, lease="shared")]).at_once is None


def test_a_session_is_held_until_the_next_request_goes_out() -> None:
    queued = [Request(n * 0.06, n * 0.06 + 0.05, n * 0.06 + 0.2, 1000, queued=True) for n in range(40)]
    assert run(4, queued).service().store == pytest.approx(0.01)
    to_end = [Request(n * 0.22, n * 0.22 + 0.05, n * 0.22 + 0.2, 1000, queued=True) for n in range(40)]
    assert run(4, to_end, lease="exclusive-to-end").service().store == pytest.approx(0.02)


def test_the_delay_is_not_part_of_a_request() -> None:
    spaced = [Request(n * 1.0, n + 0.05, n + 0.19, 1000, delayed=0.8) for n in range(16)]
    assert run(1, spaced).service().own == pytest.approx(0.01)


def test_events_tell_the_lease_and_what_is_left() -> None:
    requests = Requests()
    for kind, item, data in (
        (EventKind.RUN_STARTED, None, {"max_workers": 4, "lease": "auto", "sessions": 1}),
        (EventKind.RUN_PLANNED, None, {"items": 12, "to_do": 10, "done": 2, "beyond": 90}),
        (EventKind.RESOURCE_WAITING, "a", {"for": "delay", "seconds": 0.5, "why": "throttled"}),
        (EventKind.RESOURCE_STARTED, "a", {"sent": 1.0, "answered": 1.1}),
        (EventKind.RESOURCE_FINISHED, "a", {"bytes": 7}),
        (EventKind.ITEM_FINISHED, "a", {"state": "done"}),
        (EventKind.ITEM_FINISHED, "b", {"state": "failed"}),
        (EventKind.RUN_FINISHED, None, {"lease": {"asked": "auto", "used": "shared", "reason": "learned"}}),
    ):
        requests.take(Event(kind, 2.0, item, data))
    assert (requests.workers, requests.lease, requests.throttled) == (4, "shared", True)
    assert (requests.left, requests.items, requests.failed) == (98, 1, 1)
    assert (requests.done[0].delayed, requests.done[0].size) == (0.5, 7)
