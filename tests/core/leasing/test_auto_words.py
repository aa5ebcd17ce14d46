"""The learned lease mode in words, also for a record that a person has edited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from argosy.leasing.adaptive import QUIET, in_force
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import SessionRecord

URL = "https://library.example/books/1"
AUTO = LeaseMode.AUTO


def _send(manager: Any, *headers: str) -> bool:
    """Send one request, settle it and judge its answer; return whether it had the session to itself."""
    lease = manager.lease(URL)
    lease.settle(list(headers), URL, None)
    lease.end()
    manager.accepted(lease.stamp)
    exclusive: bool = lease.stamp.exclusive
    return exclusive


@pytest.mark.parametrize(
    ("asked", "learned", "words"),
    [
        (AUTO, {}, "exclusive (nothing learned yet)"),
        (AUTO, {"quiet": 7}, f"exclusive (learning: 7 of {QUIET} responses in a row replaced no token)"),
        (
            AUTO,
            {"lease": "shared", "quiet": 25},
            "shared (learned: 25 responses in a row replaced no token)",
        ),
        (
            AUTO,
            {"lease": "exclusive", "proved": True},
            "exclusive (learned: the service replaces tokens)",
        ),
        (LeaseMode.EXCLUSIVE, {"lease": "shared", "quiet": 25}, "exclusive (as configured)"),
        (
            LeaseMode.SHARED,
            {"lease": "exclusive"},
            "shared (as configured, but the service replaces tokens)",
        ),
        (AUTO, {"lease": 7, "quiet": "many"}, "exclusive (nothing learned yet)"),
    ],
)
def test_the_lease_in_words(asked: LeaseMode, learned: dict[str, Any], words: str) -> None:
    lease, reason = in_force(Policy(asked), SessionRecord("default", learned=learned))
    assert f"{lease.value} ({reason})".startswith(words)


def test_a_manager_knows_what_is_in_force(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    assert manager.in_force() == (LeaseMode.EXCLUSIVE, "nothing learned yet")
    for _ in range(QUIET):
        _send(manager)
    assert manager.in_force()[0] is LeaseMode.SHARED
    jar = scenario.manager(lease_mode=AUTO, renewable=False)
    assert jar.in_force() == (LeaseMode.EXCLUSIVE, "argosy cannot log in again")


def test_rubbish_in_the_record_is_nothing_learned(scenario: Any) -> None:
    scenario.manager().ensure()
    record = scenario.record
    odd = {"lease": ["shared"], "quiet": "x", "proved": 0}
    scenario.store.write(replace(record, learned=odd, generation=record.generation + 1), record.generation)
    manager = scenario.manager(lease_mode=AUTO)
    assert _send(manager)
    assert _send(manager, "token=2; Path=/")
    assert scenario.record.learned["lease"] == "exclusive"


def test_what_was_learned_comes_back_from_a_document() -> None:
    learned = {"lease": "shared", "quiet": 25}
    record = SessionRecord("default", 1, learned=learned)
    assert SessionRecord.from_dict(record.to_dict()).learned == learned
