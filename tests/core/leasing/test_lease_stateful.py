"""With any rule of the lease taken out, the state machine sees it. (With all of them, see tests/contracts.)"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import Phase

from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy_plugins.cookie_stores.memory import MemoryStore
from lease_suite.machine import run_lease_machine
from mutants import managers

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


@pytest.mark.slow
@pytest.mark.parametrize("manager", TAKEN_OUT, ids=lambda manager: manager.__name__)
def test_with_a_rule_taken_out_it_is_seen(tmp_path: Path, manager: type[SessionManager]) -> None:
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    with pytest.raises(
        AssertionError, match=r"a replaced token was sent|not the newest|a login without a reason|is accepted"
    ):
        run_lease_machine([store], examples=3000, manager_class=manager, phases=[Phase.generate])
