"""The Redis store keeps to the contract of all cookie stores, on a real server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis

from argosy.interfaces.cookie_store import Release
from argosy.leasing.policy import LeaseMode
from argosy_devkit.contracts.cookie_store import CookieStoreContract
from argosy_devkit.contracts.store_processes import StoreSpec
from argosy_redis.store import RedisStore
from lease_suite import machine as lease_machine
from lease_suite.contract import LeaseContract
from lease_suite.service import TapedStore
from missing import need
from redis_process import RedisProcess

pytestmark = pytest.mark.slow


class RunsOut(TapedStore):
    """A store whose holds run out on the server where they lapse."""

    ran_out = 0

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        self._session = session
        return super().acquire(session, wait=wait)

    def lapse(self) -> None:
        if self._dead:
            super().lapse()
            return
        store = self.store
        assert isinstance(store, RedisStore)
        type(self).ran_out += 1
        client = redis.Redis("127.0.0.1", store.options["port"], protocol=2)
        client.delete(f"{{{store.options['prefix']}}}:hold:{self._session}")
        client.close()


class TestRedisStore(LeaseContract, CookieStoreContract):
    """A server for all tests, and keys of its own for each."""

    plugin = RedisStore
    port: ClassVar[int]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def redis_process(cls) -> Iterator[None]:
        need("redis-server")
        process = RedisProcess()
        cls.port = process.port
        yield
        process.close()

    @pytest.mark.torture(48)
    @pytest.mark.parametrize("lease_mode", [LeaseMode.EXCLUSIVE, LeaseMode.EXCLUSIVE_TO_END])
    def test_no_replaced_token_is_sent_where_holds_run_out(
        self,
        spec: StoreSpec,
        monkeypatch: pytest.MonkeyPatch,
        lease_mode: LeaseMode,
    ) -> None:
        """As `test_no_replaced_token_is_ever_sent`; a hold that lapses does so on the server, and its holder knows nothing."""
        monkeypatch.setattr(lease_machine, "TapedStore", RunsOut)
        stores = [spec.make() for _ in range(3)]
        ran = lease_machine.run_lease_machine(stores, examples=self.examples, lease_mode=lease_mode)
        for store in stores:
            store.close()
        assert ran >= self.examples
        assert RunsOut.ran_out

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        prefix = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
        return {"host": "127.0.0.1", "port": self.port, "prefix": prefix, "ttl": 3}
