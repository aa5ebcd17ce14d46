"""The built-in strategies keep to their contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy_devkit.contracts.strategy import StrategyContract
from argosy_plugins.strategies.multiprocess import MultiprocessStrategy
from argosy_plugins.strategies.serial import SerialStrategy
from argosy_plugins.strategies.threads import ThreadsStrategy


class TestSerialStrategy(StrategyContract):
    plugin = SerialStrategy


class TestThreadsStrategy(StrategyContract):
    plugin = ThreadsStrategy


@pytest.mark.slow
class TestMultiprocessStrategy(StrategyContract):
    plugin = MultiprocessStrategy


@pytest.mark.slow
class TestMultiprocessStrategyWithManyThreads(StrategyContract):
    plugin = MultiprocessStrategy

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"processes": 2, "start_method": "forkserver"}
