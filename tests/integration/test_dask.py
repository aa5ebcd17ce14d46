"""Runs on a Dask cluster: a real scheduler, real workers, and one session on a real Redis server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import argosy
from argosy.errors import ServiceDown
from argosy.events import Event
from argosy_dask.strategy import MOST_IN_GROUP
from dask_cluster import DaskCluster
from missing import need
from ports import free_port
from redis_process import EVERYTHING, RedisProcess
from voyage import Voyage, after

SetSail = Callable[..., Voyage]

pytestmark = pytest.mark.slow


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    need("redis-server")
    process = RedisProcess(*EVERYTHING)
    yield process
    process.close()


@pytest.fixture
def make_cluster() -> Iterator[Callable[..., DaskCluster]]:
    made: list[DaskCluster] = []

    def make(*args: Any, **options: Any) -> DaskCluster:
        made.append(DaskCluster(*args, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


def store(redis: RedisProcess) -> dict[str, Any]:
    return {"use": "redis", "url": f"redis://{redis.where}/0"}


def test_processes_on_this_machine(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", size=3000, strategy={"use": "dask", "processes": 2}, max_workers=4)
    events: list[Event] = []
    report = argosy.download(voyage.file, events.append)
    stats = voyage.server.stats()
    assert (report.counts.done, report.requests, report.logins, voyage.wrong()) == (60, 60, 1, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    kinds = [event.kind.value for event in events]
    assert kinds.count("item.finished") == kinds.count("resource.finished") == 60


def test_1000_items_on_a_cluster(
    set_sail: SetSail, make_cluster: Callable[..., DaskCluster], redis: RedisProcess
) -> None:
    cluster = make_cluster(4)
    strategy = {"use": "dask", "address": cluster.address}
    voyage = set_sail(
        items=1000, lease_mode="revoke", size=3000, strategy=strategy, max_workers=4, cookie_store=store(redis)
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.requests, report.logins, voyage.wrong()) == (1000, 1000, 1, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


def test_workers_that_are_killed(
    set_sail: SetSail, make_cluster: Callable[..., DaskCluster], redis: RedisProcess
) -> None:
    cluster = make_cluster(4)
    strategy = {"use": "dask", "address": cluster.address}
    voyage = set_sail(
        items=300, lease_mode="revoke", size=3000, strategy=strategy, max_workers=4, cookie_store=store(redis)
    )
    kills = 0

    def kill() -> None:
        nonlocal kills
        for _ in range(3):
            cluster.kill_worker()
            cluster.add_worker()
            kills += 1

    killing = threading.Thread(target=kill)
    report = argosy.download(voyage.file, after(20, killing.start))
    killing.join()
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (300, [])
    assert stats.replaced_tokens_sent == 0
    assert stats.logins <= 1 + kills


def test_a_scheduler_that_is_lost(
    set_sail: SetSail, make_cluster: Callable[..., DaskCluster], redis: RedisProcess
) -> None:
    cluster = make_cluster(2)
    strategy = {"use": "dask", "address": cluster.address}
    voyage = set_sail(
        items=200, lease_mode="revoke", size=3000, strategy=strategy, max_workers=2, cookie_store=store(redis)
    )
    assert cluster.scheduler is not None
    with pytest.raises(ServiceDown, match="was lost"):
        argosy.download(voyage.file, after(100, cluster.scheduler.kill))
    other = make_cluster(2)
    voyage.config["strategy"] = {"use": "dask", "address": other.address}
    report = argosy.download(voyage.file)
    assert (report.counts.done + report.counts.skipped, voyage.wrong()) == (200, [])
    assert report.counts.skipped >= 100 - 2 * MOST_IN_GROUP
    assert voyage.server.stats().replaced_tokens_sent == 0


def test_the_delay_holds_over_all_workers(
    set_sail: SetSail, make_cluster: Callable[..., DaskCluster], redis: RedisProcess
) -> None:
    cluster = make_cluster(3)
    strategy = {"use": "dask", "address": cluster.address}
    limit = {"use": "redis", "url": f"redis://{redis.where}/0"}
    voyage = set_sail(
        items=20,
        lease_mode="open",
        strategy=strategy,
        max_workers=3,
        cookie_store=store(redis),
        ratelimit=limit,
        download_delay=0.2,
    )
    started = time.monotonic()
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong()) == (20, [])
    assert time.monotonic() - started > 0.2 * 19, "each worker had a delay of its own"


def test_a_scheduler_that_is_not_there_is_named(set_sail: SetSail, redis: RedisProcess) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    voyage = set_sail(items=1, strategy={"use": "dask", "address": address}, cookie_store=store(redis))
    with pytest.raises(ServiceDown, match=address):
        argosy.download(voyage.file)
