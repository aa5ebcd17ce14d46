"""Runs the contract of strategies."""

from __future__ import annotations

from importlib.metadata import entry_points

from argosy_devkit.contracts.strategy import StrategyContract

from argosy_example import ExampleStrategy


class TestExampleStrategy(StrategyContract):
    plugin = ExampleStrategy


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_strategy() is ExampleStrategy
