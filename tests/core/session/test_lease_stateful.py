"""No replaced token is ever sent, whatever happens between the steps; and with any rule taken out, that is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from argosy.contracts import CookieStore, PluginContext
from argosy.session.keeper import SessionKeeper
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from lease_machine import (
    ClearsTheMarkAfterALostAnswer,
    DoesNotCommit,
    DoesNotHold,
    DoesNotHoldToTheHeaders,
    DoesNotMark,
    IgnoresTheMark,
    LeaseMachine,
)

#: Nothing is kept between runs, and no limit depends on the machine's speed.
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)

TAKEN_OUT = [
    IgnoresTheMark,
    DoesNotMark,
    DoesNotCommit,
    DoesNotHold,
    DoesNotHoldToTheHeaders,
    ClearsTheMarkAfterALostAnswer,
]


def _machine(
    stores: list[CookieStore], *, revokes: bool = True, keeper: type[SessionKeeper] = SessionKeeper
) -> type[LeaseMachine]:
    fields = {"stores": stores, "revokes": revokes, "keeper_class": keeper, "count": 0}
    return type("Machine", (LeaseMachine,), fields)


def _stores(name: str, folder: Path) -> list[CookieStore]:
    """Return what the workers use: threads share an object, processes open one file."""
    context = PluginContext(base=folder, directory=folder)
    if name == "memory":
        return [MemoryStore({}, context)]
    return [JsonFileStore({}, context) for _ in range(3)]


@pytest.mark.parametrize(("store", "examples"), [("memory", 100), ("json-file", 40)])
@pytest.mark.parametrize("revokes", [True, False], ids=["revoke", "strict"])
def test_no_replaced_token_is_ever_sent(tmp_path: Path, store: str, examples: int, revokes: bool) -> None:
    machine = _machine(_stores(store, tmp_path), revokes=revokes)
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=examples))
    assert machine.count >= examples


@pytest.mark.parametrize("keeper", TAKEN_OUT, ids=lambda keeper: keeper.__name__)
def test_with_a_rule_taken_out_it_is_seen(tmp_path: Path, keeper: type[SessionKeeper]) -> None:
    machine = _machine(_stores("memory", tmp_path), keeper=keeper)
    quick = settings(SETTINGS, max_examples=1000, phases=[Phase.generate])
    with pytest.raises(
        AssertionError, match=r"a replaced token was sent|not the newest|a login without a reason"
    ):
        run_state_machine_as_test(machine, settings=quick)
