"""A service and gateways to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import warm
from gateways import Answer, Gateway, Origin

#: Starts a gateway: ``start_gateway(config, "-v")``; it is killed when the test ends.
StartGateway = Callable[..., Gateway]


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    need_warm()
    with ExitStack() as stack:
        yield lambda config, *arguments: stack.enter_context(Gateway(config, *arguments))


@pytest.fixture
def origin(_origin: Origin) -> Origin:
    """A service that answers ``ok`` until the test says something else."""
    _origin.answer = lambda seen: Answer(body=b"ok")
    _origin.seen, _origin.sent = [], 0
    return _origin


@pytest.fixture(scope="module")
def gateway(_origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway to the service, which all tests of a module use."""
    need_warm()
    with Gateway(_origin.config(tmp_path_factory.mktemp("gateway"))) as running:
        yield running


@pytest.fixture(scope="module")
def _origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def need_warm() -> None:
    if not warm.CAN_WARM:
        pytest.skip("processes are started in a way that only Linux has")
