"""The built-in strategies keep to their contract."""

from __future__ import annotations

from argosy.testing.contracts.strategy import StrategyContract
from argosy_plugins.strategies.serial import SerialStrategy
from argosy_plugins.strategies.threads import ThreadsStrategy


class TestSerialStrategy(StrategyContract):
    plugin = SerialStrategy


class TestThreadsStrategy(StrategyContract):
    plugin = ThreadsStrategy
