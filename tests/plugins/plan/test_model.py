"""The simulation keeps to what no download can beat, and to what follows from its model."""

from __future__ import annotations

import pytest

from argosy_plan.model import Service, Setup, most_workers, rate_of, simulate

#: 20 ms to the headers, 80 ms of body, 2 ms of the processor between two requests, of which 1 ms with the session.
SERVICE = Service([0.02], [0.08], 0.001, 0.002)


def rate(setup: Setup, service: Service = SERVICE) -> float:
    return simulate(service, setup, 100_000).rate


def test_one_worker_does_one_request_after_the_other() -> None:
    assert rate(Setup(1)) == pytest.approx(1 / 0.102, rel=0.01)
    assert simulate(SERVICE, Setup(1), 1000).seconds == pytest.approx(102, rel=0.01)
    assert simulate(SERVICE, Setup(1), 1000).waiting == 0


@pytest.mark.parametrize("workers", [6, 16, 1000])
def test_no_number_of_workers_gets_more_headers_on_one_session(workers: int) -> None:
    assert rate(Setup(workers)) == pytest.approx(1 / 0.021)


def test_one_session_feeds_as_many_workers_as_get_headers_during_a_body() -> None:
    most = most_workers(SERVICE, Setup(1))
    assert most == 5
    assert rate(Setup(most)) == pytest.approx(1 / 0.021, rel=0.02)
    assert rate(Setup(most - 1)) < 0.9 / 0.021
    assert simulate(SERVICE, Setup(4 * most), 10_000).waiting > 0.7


def test_sessions_multiply_what_one_can_do() -> None:
    assert rate(Setup(40, sessions=4)) == pytest.approx(4 / 0.021, rel=0.02)


def test_a_lease_to_the_end_of_the_body_needs_a_session_for_each_worker() -> None:
    assert rate(Setup(8, lease="exclusive-to-end")) == pytest.approx(1 / 0.101)
    assert most_workers(SERVICE, Setup(8, lease="exclusive-to-end")) == 1


def test_without_replaced_tokens_the_processor_is_the_limit() -> None:
    assert rate(Setup(200, lease="shared")) == pytest.approx(1 / 0.002, rel=0.06)
    assert rate(Setup(400, lease="shared", processes=2)) == pytest.approx(2 / 0.002, rel=0.06)


def test_a_delay_and_a_host_limit_what_they_say() -> None:
    assert rate(Setup(50, sessions=50, delay=0.1)) == pytest.approx(10)
    assert rate(Setup(50, sessions=50, at_once=3)) == pytest.approx(3 / 0.101, rel=0.02)


def test_the_same_seed_gives_the_same_result() -> None:
    varied = Service([0.01, 0.03, 0.2], [0.01, 1.0, 0.05], 0.001, 0.001)
    assert simulate(varied, Setup(8), 5000, seed=3) == simulate(varied, Setup(8), 5000, seed=3)
    assert simulate(varied, Setup(8), 5000, seed=3) != simulate(varied, Setup(8), 5000, seed=4)


def test_a_million_requests_are_continued_from_some() -> None:
    few, many = (simulate(SERVICE, Setup(16), count) for count in (10_000, 1_000_000))
    assert many.rate == pytest.approx(few.rate)
    assert many.seconds == pytest.approx(1_000_000 * 0.021, rel=0.01)


@pytest.mark.parametrize(
    ("service", "workers", "requests"), [(Service([], []), 1, 1), (SERVICE, 0, 1), (SERVICE, 1, 0)]
)
def test_nothing_cannot_be_simulated(service: Service, workers: int, requests: int) -> None:
    with pytest.raises(ValueError, match="needs"):
        simulate(service, Setup(workers), requests)


def test_the_processor_is_shared_by_all_workers() -> None:
    busy = Service([0.05], [0.15], processor=0.02)
    assert rate(Setup(1), busy) == pytest.approx(1 / 0.2, rel=0.02)  # it is part of what was measured
    assert rate(Setup(64, lease="shared"), busy) == pytest.approx(1 / 0.02, rel=0.05)
    assert rate(Setup(64, lease="shared", processes=2), busy) == pytest.approx(2 / 0.02, rel=0.05)


def test_a_short_run_takes_as_long_as_its_requests() -> None:
    assert simulate(SERVICE, Setup(4), 1).seconds == pytest.approx(0.102, rel=0.05)
    assert simulate(SERVICE, Setup(4, lease="shared"), 8).seconds == pytest.approx(0.21, rel=0.1)


def test_the_rate_is_that_of_the_middle() -> None:
    bursts = [float(turn) for turn in range(1, 41) for _ in range(8)]  # eight workers in step
    assert rate_of([*bursts, 60.0]) == pytest.approx(8, rel=0.01)  # the last one took longer
    assert rate_of([1.0]) == 0
