"""With any rule of the lease taken out, the state machine sees it. (With all of them, see tests/contracts.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase

from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode
from argosy_plugins.cookie_stores.memory import MemoryStore
from lease_suite.machine import run_lease_machine
from mutants import carriers, managers

TAKEN_OUT = [
    managers.ClearsTheMarkAfterALostAnswer,
    managers.ClearsTheMarkFirst,
    managers.ClearsTheWinnersToken,
    managers.DoesNotCommit,
    managers.DoesNotHold,
    managers.DoesNotHoldToTheHeaders,
    managers.DoesNotMark,
    managers.IgnoresTheMark,
    managers.KeepsTheMarkOfWhatWasNotSent,
    managers.LogsInWithoutReadingAgain,
    managers.MarksAfterSending,
    managers.SettlesAfterTheRelease,
    managers.SettlesLater,
]

#: The same for tokens that are in header fields, in header fields and a cookie, or in bodies.
CARRIERS = [
    (carriers.TakesABlankForAToken, "fields"),
    (carriers.ChangesFollowersAlone, "fields"),
    (carriers.SendsFieldsInDoubt, "fields"),
    (managers.DoesNotHold, "fields"),
    (carriers.SettlesFieldsInASecondCommit, "both"),
    (carriers.StoresTheBodyAfterTheLease, "bodies"),
]

#: How a sequence of steps fails.
BROKEN = r"a replaced token was sent|not the newest|a login without a reason|is accepted|a part of its tokens"


@pytest.mark.slow
@pytest.mark.parametrize(("manager", "carrier"), CARRIERS, ids=lambda given: getattr(given, "__name__", given))
def test_with_a_rule_about_carriers_taken_out_it_is_seen(
    tmp_path: Path, manager: type[SessionManager], carrier: str
) -> None:
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    mode = LeaseMode.EXCLUSIVE_TO_END if carrier == "bodies" else LeaseMode.EXCLUSIVE
    options: Any = {"manager_class": manager, "carrier": carrier, "lease_mode": mode, "phases": [Phase.generate]}
    with pytest.raises(AssertionError, match=BROKEN):
        run_lease_machine([store], examples=3000, **options)


@pytest.mark.slow
@pytest.mark.parametrize("manager", TAKEN_OUT, ids=lambda manager: manager.__name__)
def test_with_a_rule_taken_out_it_is_seen(tmp_path: Path, manager: type[SessionManager]) -> None:
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    with pytest.raises(AssertionError, match=BROKEN):
        run_lease_machine([store], examples=3000, manager_class=manager, phases=[Phase.generate])
