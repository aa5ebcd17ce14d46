"""The rate limit on Redis keeps to the contract of all rate limits, on a real server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces.base import PluginContext
from argosy.toolkit.processes import clock
from argosy_devkit.contracts.ratelimit import RateLimitContract
from argosy_redis.ratelimit import RedisRateLimit
from missing import need
from ports import free_port
from redis_process import RedisProcess

pytestmark = pytest.mark.slow


class TestRedis(RateLimitContract):
    plugin = RedisRateLimit
    port: ClassVar[int]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def redis_process(cls) -> Iterator[None]:
        need("redis-server")
        process = RedisProcess()
        cls.port = process.port
        yield
        process.close()

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"port": self.port, "prefix": tmp_path.name}

    def test_machines_with_other_clocks_share_the_times(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, Any], context: PluginContext
    ) -> None:
        """A Retry-After ends at the same moment for a machine whose clock shows another time."""
        here, there = self.plugin(given, context), self.plugin(given, context)
        here.update("library.example", lambda state, now: state.throttled(now, now, 60.0))
        monkeypatch.setattr("argosy_redis.ratelimit.clock", lambda: clock() - 12_345.678)
        state = there.read("library.example")
        assert state is not None
        left = state.hold - (clock() - 12_345.678)
        assert 0 < left < 60 + 0.5
        there.update("library.example", lambda state, now: setattr(state, "hold", now + 300.0))
        monkeypatch.undo()
        state = here.read("library.example")
        assert state is not None
        assert 60 < state.hold - clock() < 300 + 0.5
        here.close()
        there.close()

    def test_without_a_server_the_run_limits_itself(self, tmp_path: Path) -> None:
        """A server that does not answer raises OSError, for which the run limits each process."""
        limit = self.plugin({"port": free_port(), "reconnect": 0}, PluginContext(tmp_path, tmp_path))
        with pytest.raises(OSError, match="Redis server"):
            limit.read("library.example")
        limit.close()
