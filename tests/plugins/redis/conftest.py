"""Redis servers, and stores on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from argosy.interfaces.base import PluginContext
from argosy.models.session import SessionRecord
from argosy_redis.store import RedisStore
from missing import need
from redis_process import RedisProcess

#: Starts a server: ``start_redis(*EVERYTHING)``.
StartRedis = Callable[..., RedisProcess]
#: Opens a store on a server, with options of its own; what it tells the person is kept in ``store.told``.
OpenStore = Callable[..., "ToldStore"]


class ToldStore(RedisStore):
    """A Redis store that keeps what it tells the person."""

    def __init__(self, options: Any, context: PluginContext) -> None:
        self.told: list[str] = []
        super().__init__(options, PluginContext(context.base, context.directory, notice=self.told.append))

    def found(self, session: str = "default") -> SessionRecord:
        record = self.read(session)
        assert record is not None
        return record


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Start servers that end with the test."""
    need("redis-server")
    running: list[RedisProcess] = []

    def start(*settings: str, **options: Any) -> RedisProcess:
        running.append(RedisProcess(*settings, **options))
        return running[-1]

    yield start
    for process in running:
        process.close()


@pytest.fixture
def open_redis() -> Iterator[OpenStore]:
    """Open stores that are closed with the test."""
    stores: list[ToldStore] = []

    def open_store(server: RedisProcess, **options: Any) -> ToldStore:
        stores.append(ToldStore({"host": "127.0.0.1", "port": server.port, "reconnect": 5, **options}, PluginContext()))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()
