"""The equipment of the suites for cookie stores: the store, here and in other processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy_devkit.contracts.plugin_suite import PluginSuite, check_importable, make_plugin
from argosy_devkit.contracts.promises import BrokenPromise, relying_on
from argosy_devkit.contracts.store_processes import StoreSpec
from argosy_devkit.contracts.waiting import Thread

_ACQUIRE = "argosy.CookieStore.acquire (docs/plugins/contracts.md)"
_HOLD = "acquire() returns a function that ends the hold, or None."
#: Why a store class cannot be held, or None if it can.
_UNSOUND: dict[type, BrokenPromise | None] = {}


class StoreSuite(PluginSuite):
    """Each test opens the store in an empty folder."""

    #: The store's class; other processes must be able to import it.
    plugin: ClassVar[type[CookieStore]]
    documented: ClassVar[str] = "argosy.CookieStore (docs/plugins/contracts.md)"

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return options that open an empty store, always the same for the same folder; they must be picklable."""
        return {}

    def files(self, tmp_path: Path) -> list[Path]:
        """Return the files with its sessions while it is closed; none if it keeps none in this folder."""
        return []

    @pytest.fixture
    def spec(self, tmp_path: Path, given: Mapping[str, Any]) -> StoreSpec:
        """Return a spec to open the store, here and in other processes."""
        spec = StoreSpec(self.plugin, given, tmp_path)
        if self.plugin not in _UNSOUND:  # else each test would wait for a hold that cannot end
            _UNSOUND[self.plugin] = _unsound(spec)
        if (broken := _UNSOUND[self.plugin]) is not None:
            raise broken.with_traceback(None)
        return spec

    @pytest.fixture
    def store(self, spec: StoreSpec) -> Any:
        """Open the store."""
        store = spec.make()
        yield store
        store.close()

    @pytest.fixture
    def again(self, spec: StoreSpec, store: CookieStore) -> Any:
        """Open the same store again, if several processes can."""
        if store.scope < Scope.HOST:
            yield store
            return
        other = spec.make()
        yield other
        other.close()

    def _needs_processes(self) -> None:
        if self.plugin.scope < Scope.HOST:
            pytest.skip(f"the scope of {self.plugin.name} is one process")
        check_importable(self.plugin)


def _unsound(spec: StoreSpec) -> BrokenPromise | None:
    """Return what is wrong with a store whose holds cannot end: all other tests would wait for them."""
    store = make_plugin(spec.plugin, spec.options, PluginContext(spec.base, spec.base))
    try:
        Thread(lambda: _hold_and_release(store)).result()
    except BrokenPromise as broken:
        return broken
    except AssertionError as stuck:
        return BrokenPromise(f"acquire(), or the end of a hold, does not return: {stuck}", _HOLD, _ACQUIRE)
    finally:
        store.close()
    return None


def _hold_and_release(store: CookieStore) -> None:
    with relying_on(_HOLD, _ACQUIRE, "a hold, or its end,"):
        for turn in ("a free session", "a released session"):
            release: Any = store.acquire("probe", wait=False)
            if release is None:
                raise BrokenPromise(f"{turn} was not granted", _HOLD, _ACQUIRE)
            if not callable(release):
                words = f"acquire() returned {type(release).__name__}, which cannot be called to end the hold"
                raise BrokenPromise(words, _HOLD, _ACQUIRE)
            release()
