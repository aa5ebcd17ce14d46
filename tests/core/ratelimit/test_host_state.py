"""The arithmetic of one host: starts, what answers teach, outages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.models.host_state import (
    DOWN_AFTER,
    FIRST_SPACING,
    HALF_LIFE,
    MOST_PROBE,
    MOST_SPACING,
    NEVER,
    STALE,
    HostState,
)
from argosy_plugins.ratelimits.host import is_sane

NOW = 1000.0


def test_starts_are_given_one_after_the_other() -> None:
    state = HostState()
    assert [state.reserve(2.0, NOW) for _ in range(4)] == [NOW, NOW + 2, NOW + 4, NOW + 6]


@given(st.lists(st.floats(0, 10), min_size=2))
def test_of_two_delays_the_longer_counts(delays: list[float]) -> None:
    state = HostState()
    starts = [state.reserve(delay, NOW) for delay in delays]
    for (one, two), (first, second) in zip(itertools.pairwise(delays), itertools.pairwise(starts), strict=True):
        assert second - first >= max(one, two) - 1e-6


def test_one_without_a_delay_waits_for_those_who_have_one_and_is_seen_by_them() -> None:
    state = HostState()
    state.reserve(5.0, NOW)
    assert state.begin(5.0, NOW) == 0
    assert not state.quiet(NOW + 4)
    assert state.quiet(NOW + 5)
    state.seen = NOW + 6  # a program without a delay
    assert state.reserve(5.0, NOW + 7) == NOW + 11


def test_a_start_that_took_place_late_moves_the_next() -> None:
    state = HostState()
    first, second = state.reserve(1.0, NOW), state.reserve(1.0, NOW)
    assert state.begin(1.0, first + 0.7) == 0
    assert state.begin(1.0, second) == pytest.approx(0.7)
    assert state.begin(1.0, second + 0.7) == 0


def test_nothing_starts_while_a_host_asks_for_patience() -> None:
    state = HostState()
    state.throttled(NOW, NOW, 30.0)
    assert not state.quiet(NOW + 29)
    assert state.reserve(0.0, NOW) == NOW + 30
    assert state.begin(0.0, NOW + 10) == 20


def test_a_wave_of_throttles_slows_down_once_and_answers_speed_up() -> None:
    state = HostState()
    for _ in range(32):
        state.throttled(NOW - 1, NOW, None)
    assert state.slow(NOW) == FIRST_SPACING
    state.answered(NOW - 1, NOW)
    assert state.slow(NOW) == FIRST_SPACING, "it was sent before anybody slowed down"
    for number in range(1, 20):
        state.throttled(NOW + number, NOW + number, None)
    assert state.slow(NOW + 19) == MOST_SPACING
    answers = 0
    while state.spacing:
        state.answered(NOW + 20, NOW + 20)
        answers += 1
    assert 40 < answers < 80


def test_the_spacing_goes_by_itself() -> None:
    state = HostState()
    state.throttled(NOW, NOW, None)
    assert state.slow(NOW + HALF_LIFE) == FIRST_SPACING / 2
    assert state.slow(NOW + 10 * HALF_LIFE) == 0


def test_three_without_a_connection_in_a_row_are_an_outage() -> None:
    state = HostState()
    assert [state.failed(NOW, sent=False, heard=True, probing=False) for _ in range(3)] == [
        False,
        False,
        True,
    ]
    assert state.down(NOW)


def test_what_may_be_the_urls_fault_weighs_less() -> None:
    state = HostState()
    for _ in range(DOWN_AFTER - 1):
        assert not state.failed(NOW, sent=True, heard=True, probing=False)
    assert state.failed(NOW, sent=True, heard=True, probing=False)


def test_an_answer_ends_the_row() -> None:
    state = HostState()
    for _ in range(5):
        state.failed(NOW, sent=False, heard=True, probing=False)
        state.failed(NOW, sent=False, heard=True, probing=False)
        state.answered(NOW, NOW)
    assert not state.down(NOW)


def test_failures_of_long_ago_do_not_count() -> None:
    state = HostState()
    for number in range(10):
        state.failed(NOW + number * (STALE + 1), sent=False, heard=True, probing=False)
        assert not state.down(NOW + number * (STALE + 1))


def test_probes_get_rarer_and_only_they_count() -> None:
    state, now = HostState(), NOW
    for _ in range(3):
        state.failed(now, sent=False, heard=True, probing=False)
    gaps = []
    for _ in range(8):
        for _ in range(30):  # sent before the outage was known
            state.failed(now, sent=False, heard=True, probing=False)
        gaps.append(state.probe - now)
        now = state.probe
        state.failed(now, sent=False, heard=True, probing=True)
    assert gaps == [1, 2, 4, 8, 16, MOST_PROBE, MOST_PROBE, MOST_PROBE]
    state.answered(now, now)
    assert not state.down(now)


def test_an_outage_that_nobody_looked_at_is_forgotten() -> None:
    state = HostState()
    for _ in range(3):
        state.failed(NOW, sent=False, heard=True, probing=False)
    assert not state.down(NOW + STALE + 10)
    assert not state.failed(NOW + STALE + 10, sent=False, heard=True, probing=False)


@given(st.lists(st.floats(), min_size=11, max_size=11))
def test_no_record_that_is_believed_makes_anybody_wait_for_ever(values: list[float]) -> None:
    state = HostState(*values)
    if is_sane(state, NOW):
        wait = state.reserve(max(1.0, state.slow(NOW)), NOW) - NOW
        assert 0 <= wait < 65 * 86401 + 400
        assert state.begin(1.0, NOW + wait) >= 0


def test_a_fresh_record_is_sane() -> None:
    assert is_sane(HostState(), NOW)
    assert not is_sane(HostState(reserved=NEVER, due=NOW + 1), NOW)
