"""With any rule of the lease taken out, the state machine sees it. (With all of them, see tests/contracts.)"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import Phase

from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionKeeper
from argosy_devkit.contracts.lease_machine import run_lease_machine
from argosy_plugins.cookie_stores.memory import MemoryStore
from mutants import keepers

TAKEN_OUT = [
    keepers.ClearsTheMarkAfterALostAnswer,
    keepers.ClearsTheMarkFirst,
    keepers.ClearsTheWinnersToken,
    keepers.DoesNotCommit,
    keepers.DoesNotHold,
    keepers.DoesNotHoldToTheHeaders,
    keepers.DoesNotMark,
    keepers.IgnoresTheMark,
    keepers.KeepsTheMarkOfWhatWasNotSent,
    keepers.LogsInWithoutReadingAgain,
    keepers.MarksAfterSending,
    keepers.SettlesAfterTheRelease,
    keepers.SettlesLater,
]


@pytest.mark.parametrize("keeper", TAKEN_OUT, ids=lambda keeper: keeper.__name__)
def test_with_a_rule_taken_out_it_is_seen(tmp_path: Path, keeper: type[SessionKeeper]) -> None:
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    with pytest.raises(
        AssertionError, match=r"a replaced token was sent|not the newest|a login without a reason|is accepted"
    ):
        run_lease_machine([store], examples=3000, keeper_class=keeper, phases=[Phase.generate])
