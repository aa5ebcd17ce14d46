"""The contract of rate limits as a test suite.

Subclass it in your tests and run pytest::

    from argosy_devkit.contracts.ratelimit import RateLimitContract

    class TestMyRateLimit(RateLimitContract):
        plugin = MyRateLimit

        def options(self, tmp_path):
            return {"path": "hosts.db"}
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces import PluginContext, RateLimit
from argosy.models.host_state import HostState
from argosy.toolkit.processes import clock
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginRules, check_importable, make_plugin
from argosy_devkit.contracts.waiting import Thread

HOST = "library.example"


class RateLimitContract(PluginRules):
    """Each test is one promise of `argosy.interfaces.RateLimit`."""

    plugin: ClassVar[type[RateLimit]]
    documented = "argosy.RateLimit (docs/plugins/contracts.md)"

    @pytest.fixture
    def limit(self, given: Mapping[str, Any], context: PluginContext) -> Any:
        """Create the rate limit, without any state."""
        limit = make_plugin(self.plugin, given, context)
        yield limit
        limit.close()

    def test_an_unknown_host_has_no_state(self, limit: RateLimit) -> None:
        """read() returns None for an unknown host, and started() creates no state."""
        assert limit.read(HOST) is None
        limit.started(HOST, clock())
        assert limit.read(HOST) is None

    def test_a_state_comes_back_as_it_was(self, limit: RateLimit) -> None:
        """update() returns the result of the change, and read() the complete new state."""
        changed: list[HostState] = []

        def change(state: HostState, now: float) -> str:
            state.throttled(now, now, 5.0)
            state.failed(now, sent=True, heard=True, probing=False)
            changed.append(state)
            return "the result"

        assert limit.update(HOST, change) == "the result"
        assert limit.read(HOST) == changed[0]

    def test_a_start_is_recorded(self, limit: RateLimit) -> None:
        """started() sets `seen` of a host with a state, and nothing else."""
        limit.update(HOST, add_failure)
        before = limit.read(HOST)
        assert before is not None
        before.seen = clock()
        limit.started(HOST, before.seen)
        assert limit.read(HOST) == before

    def test_hosts_are_independent(self, limit: RateLimit) -> None:
        """Each host has its own state; a port makes another host."""
        limit.update(HOST, add_failure)
        assert limit.read("other.example") is None
        assert limit.read(f"{HOST}:8080") is None

    def test_updates_are_atomic_in_threads(self, limit: RateLimit) -> None:
        """No change of several threads is lost."""
        for thread in [Thread(partial(count, limit, 25)) for _ in range(8)]:
            thread.result()
        state = limit.read(HOST)
        assert state is not None
        assert state.failures == 200, "a change was lost"

    def test_updates_are_atomic_in_processes(
        self, limit: RateLimit, given: Mapping[str, Any], context: PluginContext
    ) -> None:
        """Processes with the same options share the states, and no change is lost."""
        check_importable(self.plugin)
        spawn = multiprocessing.get_context("spawn")
        arguments = (self.plugin, dict(given), context.base, context.directory)
        processes = [spawn.Process(target=count_elsewhere, args=arguments) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        state = limit.read(HOST)
        assert state is not None, "it does not see the state of other processes"
        assert state.failures == 75, "a change was lost"

    def test_a_run_uses_it(self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any]) -> None:
        """A real run with a delay works, and no notice says that the rate limit failed."""
        server = library_server(lease_mode="open")
        urls = [server.url_for(f"/files/{number}.bin?size=3000") for number in range(4)]
        report = self.run(tmp_path, given, source={"use": "urls", "urls": urls}, download_delay=0.01)
        assert report.counts.done == 4, f"items failed: {report.failures}"
        assert report.notices == (), "the run could not use it"


def add_failure(state: HostState, now: float) -> None:
    """Count a failure."""
    state.failures += 1
    state.failed_at = now


def count(limit: RateLimit, times: int) -> None:
    """Count failures."""
    for _ in range(times):
        limit.update(HOST, add_failure)


def count_elsewhere(plugin: type[RateLimit], options: Mapping[str, Any], base: Path, directory: Path) -> None:
    """Count failures in another process."""
    limit = plugin(options, PluginContext(base, directory))
    count(limit, 25)
    limit.close()
