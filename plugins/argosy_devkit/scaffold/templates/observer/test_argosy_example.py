"""Runs the contract of observers."""

from __future__ import annotations

from importlib.metadata import entry_points

from argosy_devkit.contracts.observer import ObserverContract

from argosy_example import ExampleObserver


class TestExampleObserver(ObserverContract):
    plugin = ExampleObserver


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_observer() is ExampleObserver
