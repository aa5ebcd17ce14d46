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

from argosy_devkit.contracts.plugin_suite import PluginRules
from argosy_devkit.contracts.store_holds import HoldRules
from argosy_devkit.contracts.store_records import RecordRules
from argosy_devkit.contracts.store_survival import SurvivalRules


class CookieStoreContract(SurvivalRules, HoldRules, RecordRules, PluginRules):
    """Each test is one promise of `argosy.interfaces.CookieStore`.

    Pytest runs the tests of the last base first, so simple bugs show before the slow tests. Tests that need other processes
    only run for scopes from `Scope.HOST` on.
    """
