"""The contract of cookie stores as a test suite.

Subclass it in your tests, and run pytest::

    from argosy.testing.contracts.cookie_store import CookieStoreContract

    class TestMyStore(CookieStoreContract):
        plugin = MyStore

        def options(self, tmp_path):
            return {"path": "sessions.db"}

        def files(self, tmp_path):
            return [tmp_path / "sessions.db"]
"""

from __future__ import annotations

from argosy.testing.contracts.lease_rules import LeaseRules
from argosy.testing.contracts.lease_wire import WireRules
from argosy.testing.contracts.store_holds import HoldRules
from argosy.testing.contracts.store_records import RecordRules
from argosy.testing.contracts.store_survival import SurvivalRules


class CookieStoreContract(RecordRules, HoldRules, SurvivalRules, LeaseRules, WireRules):
    """Each test is one promise of `argosy.contracts.CookieStore`; what needs other processes runs from `Scope.HOST` on."""
