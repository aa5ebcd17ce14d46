"""Runs the contract of transports."""

from __future__ import annotations

from importlib.metadata import entry_points

from argosy_devkit.contracts.transport import TransportContract

from argosy_example import ExampleTransport


class TestExampleTransport(TransportContract):
    plugin = ExampleTransport


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_transport() is ExampleTransport
