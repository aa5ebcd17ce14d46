"""The contract of cookie stores as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.cookie_store import CookieStoreContract

    class TestMyStore(CookieStoreContract):
        plugin = MyStore

        def options(self, tmp_path):
            return {"path": "sessions.db"}

        def files(self, tmp_path):
            return [tmp_path / "sessions.db"]
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from argosy.interfaces.cookie_store import Scope
from argosy.leasing.policy import LeaseMode
from argosy_devkit.contracts.lease_rules import LeaseRules
from argosy_devkit.contracts.lease_wire import WireRules
from argosy_devkit.contracts.plugin_suite import PluginRules
from argosy_devkit.contracts.store_holds import HoldRules
from argosy_devkit.contracts.store_processes import StoreRecipe
from argosy_devkit.contracts.store_records import RecordRules
from argosy_devkit.contracts.store_suite import LEASE, StoreSuite
from argosy_devkit.contracts.store_survival import SurvivalRules


class MachineRules(StoreSuite):
    """Whatever happens between the steps of three programs, no replaced token is sent, and no login is wasted."""

    documented = LEASE
    #: How many sequences of steps are tried in each test; more find more, and take longer.
    examples: ClassVar[int] = 30

    @pytest.mark.parametrize("revokes", [True, False], ids=["revoke", "strict"])
    @pytest.mark.parametrize("discipline", [LeaseMode.EXCLUSIVE, LeaseMode.EXCLUSIVE_TO_END])
    def test_no_replaced_token_is_ever_sent(
        self, recipe: StoreRecipe, discipline: LeaseMode, revokes: bool
    ) -> None:
        """Crashes at any step, lost requests and answers, lapsed holds, late arrivals, sessions that end."""
        pytest.importorskip("hypothesis", reason="pip install 'argosy[test]'")
        from argosy_devkit.contracts.lease_machine import run_lease_machine

        stores = [recipe.make() for _ in range(3 if self.plugin.scope >= Scope.HOST else 1)]
        try:
            ran = run_lease_machine(
                stores,
                examples=self.examples,
                revokes=revokes,
                discipline=discipline,
                manager_class=self.manager_class,
            )
        finally:
            for store in stores:
                store.close()
        assert ran >= self.examples


class CookieStoreContract(
    MachineRules, WireRules, LeaseRules, SurvivalRules, HoldRules, RecordRules, PluginRules
):  # pytest runs the tests of the last one first: what is simple is found before what takes minutes
    """Each test is one promise of `argosy.interfaces.CookieStore`, or one rule of the lease on top of it.

    What needs other processes runs from `Scope.HOST` on.

    .. versionadded:: 0.1
    """
