"""All suites of the lease in one class."""

from __future__ import annotations

from typing import ClassVar

import pytest

from argosy.interfaces.cookie_store import Scope
from argosy.leasing.policy import LeaseMode
from argosy_devkit.contracts.store_processes import StoreSpec
from lease_suite.carriers import CarrierRules
from lease_suite.machine import run_lease_machine
from lease_suite.rules import LeaseRules
from lease_suite.suite import LeaseSuite


class MachineRules(LeaseSuite):
    """Steps of three programs in any order: no replaced token is sent, and no login is wasted."""

    #: How many sequences of steps each test tries.
    examples: ClassVar[int] = 30

    @pytest.mark.parametrize("revokes", [True, False], ids=["revoke", "strict"])
    @pytest.mark.parametrize("lease_mode", [LeaseMode.EXCLUSIVE, LeaseMode.EXCLUSIVE_TO_END])
    def test_no_replaced_token_is_ever_sent(self, spec: StoreSpec, lease_mode: LeaseMode, revokes: bool) -> None:
        """Crashes at any step, lost requests and responses, lapsed holds, late arrivals, sessions that end."""
        stores = [spec.make() for _ in range(3 if self.plugin.scope >= Scope.HOST else 1)]
        try:
            ran = run_lease_machine(
                stores,
                examples=self.examples,
                revokes=revokes,
                lease_mode=lease_mode,
                manager_class=self.manager_class,
            )
        finally:
            for store in stores:
                store.close()
        assert ran >= self.examples

    @pytest.mark.slow
    @pytest.mark.parametrize("carrier", ["fields", "both", "bodies"])
    def test_no_replaced_token_is_ever_sent_in_another_carrier(self, spec: StoreSpec, carrier: str) -> None:
        """The same for header fields, for header fields and a cookie that change as one, and for bodies."""
        stores = [spec.make() for _ in range(3 if self.plugin.scope >= Scope.HOST else 1)]
        lease_mode = LeaseMode.EXCLUSIVE_TO_END if carrier == "bodies" else LeaseMode.EXCLUSIVE
        try:
            ran = run_lease_machine(
                stores,
                examples=self.examples,
                lease_mode=lease_mode,
                carrier=carrier,
                manager_class=self.manager_class,
            )
        finally:
            for store in stores:
                store.close()
        assert ran >= self.examples


class LeaseContract(MachineRules, CarrierRules, LeaseRules):  # pytest runs the tests of the last one first
    """Each test is one rule of the lease, on the store `plugin`."""
