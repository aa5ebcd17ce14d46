"""The strategy keeps to its contract."""

from __future__ import annotations

from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit.contracts.strategy import StrategyContract

from argosy_example import ExampleStrategy


class TestExampleStrategy(StrategyContract):
    plugin = ExampleStrategy


def test_it_is_installed() -> None:
    assert PluginManager().find(Kind.STRATEGY, "example").cls is ExampleStrategy
