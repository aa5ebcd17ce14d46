"""What every suite for cookie stores is made with: a store of the author's, here and in other processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.contracts.cookie_store import CookieStore, Scope
from argosy.session.keeper import SessionKeeper
from argosy.testing.contracts.plugin_suite import PluginSuite
from argosy.testing.contracts.store_processes import StoreRecipe

#: Where the rules of the lease are documented.
LEASE = "The lease (docs/explanation/the-lease.md)"


class StoreSuite(PluginSuite):
    """A store is opened anew for each test, in an empty folder."""

    #: The store's class; other processes must be able to import it.
    plugin: ClassVar[type[CookieStore]]
    documented: ClassVar[str] = "argosy.CookieStore (docs/plugins/contracts.md)"
    #: What grants leases on it. The suites are tried out with keepers that have a rule taken out.
    keeper_class: ClassVar[type[SessionKeeper]] = SessionKeeper

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return options that open an empty store, the same for the same folder; they can be pickled."""
        return {}

    def files(self, tmp_path: Path) -> list[Path]:
        """Return the files that hold its sessions while it is closed; none where it keeps none in this folder."""
        return []

    @pytest.fixture
    def recipe(self, tmp_path: Path, given: Mapping[str, Any]) -> StoreRecipe:
        """Return what opens the store, here and in other processes."""
        return StoreRecipe(self.plugin, given, tmp_path)

    @pytest.fixture
    def store(self, recipe: StoreRecipe) -> Any:
        """Open the store."""
        store = recipe.make()
        yield store
        store.close()

    @pytest.fixture
    def again(self, recipe: StoreRecipe, store: CookieStore) -> Any:
        """Open the same store once more, where more than one process can have it open."""
        if store.scope < Scope.HOST:
            yield store
            return
        other = recipe.make()
        yield other
        other.close()

    def _needs_processes(self) -> None:
        if self.plugin.scope < Scope.HOST:
            pytest.skip(f"the scope of {self.plugin.name} is one process")
