"""The strategy on a Dask cluster keeps to the contract of strategies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy_dask.strategy import DaskStrategy
from argosy_devkit.contracts.strategy import StrategyContract


@pytest.mark.slow
class TestDaskStrategy(StrategyContract):
    plugin = DaskStrategy

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"processes": 2}
