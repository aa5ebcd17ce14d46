"""The output keeps to its contract."""

from __future__ import annotations

from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit.contracts.output import OutputContract

from argosy_example import ExampleOutput


class TestExampleOutput(OutputContract):
    plugin = ExampleOutput


def test_it_is_installed() -> None:
    assert PluginManager().find(Kind.OUTPUT, "example").cls is ExampleOutput
