"""The observer keeps to its contract."""

from __future__ import annotations

from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit.contracts.observer import ObserverContract

from argosy_example import ExampleObserver


class TestExampleObserver(ObserverContract):
    plugin = ExampleObserver


def test_it_is_installed() -> None:
    assert PluginManager().find(Kind.OBSERVER, "example").cls is ExampleObserver
