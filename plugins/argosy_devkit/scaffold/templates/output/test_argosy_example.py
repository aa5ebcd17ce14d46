"""Runs the contract of outputs."""

from __future__ import annotations

from importlib.metadata import entry_points

from argosy_devkit.contracts.output import OutputContract

from argosy_example import ExampleOutput


class TestExampleOutput(OutputContract):
    plugin = ExampleOutput


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_output() is ExampleOutput
