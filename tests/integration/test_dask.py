"""Runs on a Dask cluster: a real scheduler, real workers, and one session on a real Redis server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import ServiceDown
from argosy.events import Event
from argosy_dask.strategy import MOST_IN_GROUP
from dask_cluster import DaskCluster
from missing import need
from namespaces import TMP, Machines
from object_storage import SECRET, Bucket, object_storage
from ports import free_port
from redis_process import EVERYTHING, RedisProcess
from voyage import Voyage, after

SetSail = Callable[..., Voyage]

pytestmark = pytest.mark.slow

#: Where a worker on another machine keeps its files.
FAR = f"{TMP}/dask"


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


def on_machines(
    machines: Machines, make_cluster: Callable[..., DaskCluster], *shared: Path
) -> tuple[DaskCluster, list[tuple[str, ...]]]:
    """Return a cluster of four workers, two of them on machines of their own; and what is put before their commands."""
    cluster = make_cluster(host=machines.host)
    before: list[tuple[str, ...]] = [(), (), *(machines.add(number, *shared)[1] for number in range(2))]
    for each in before:
        cluster.add_worker(*each, options=("--local-directory", FAR) if each else ())
    return cluster, before


@dataclass
class Acceptance:
    """A run of four workers on three machines with a real Redis and a real object storage, which share no folder."""

    voyage: Voyage
    cluster: DaskCluster
    before: list[tuple[str, ...]]
    redis: RedisProcess
    bucket: Bucket

    def wrong(self) -> list[str]:
        """Return the objects that are missing, damaged, or that nobody asked for."""
        found = {name: sha256(content).hexdigest() for name, content in self.bucket.contents("library/").items()}
        wanted = {each.name: each.sha256 for each in self.voyage.expected}
        return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Machines, which reach the library server of the test."""
    made = Machines()
    monkeypatch.setattr("argosy_devkit.client._HOST", made.host)
    yield made
    made.close()


@pytest.fixture
def accept(
    machines: Machines, set_sail: SetSail, make_cluster: Callable[..., DaskCluster], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Acceptance]]:
    need("redis-server", "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server")
    with ExitStack() as stack:
        address = f"127.0.0.1 {machines.host}"
        redis = RedisProcess(*EVERYTHING, "--bind", *address.split(), "--protected-mode", "no")
        stack.callback(redis.close)
        storage = stack.enter_context(object_storage(machines.host))

        def start(**options: Any) -> Acceptance:
            bucket = storage.bucket()
            voyage = set_sail(
                **{"lease_mode": "revoke", "size": 3000, "max_workers": 4, **options},
                directory={"url": f"s3://{bucket.name}/library", "options": storage.options},
                cookie_store={"use": "redis", "url": f"redis://{machines.host}:{redis.port}/0"},
            )
            voyage.config["auth"]["fields"]["password"] = {"env": "LIBRARY_PASSWORD"}
            monkeypatch.setenv("LIBRARY_PASSWORD", voyage.server.password)
            monkeypatch.setenv("STORAGE_SECRET", SECRET)
            cluster, before = on_machines(machines, make_cluster)
            voyage.config["strategy"] = {"use": "dask", "address": cluster.address}
            return Acceptance(voyage, cluster, before, redis, bucket)

        yield start


@pytest.mark.timeout(900)  # the storage takes most of it
def test_1000_items_from_four_workers_on_three_machines(accept: Callable[..., Acceptance]) -> None:
    run = accept(items=1000)
    report = argosy.download(run.voyage.file)
    stats = run.voyage.server.stats()
    assert (report.counts.done, report.requests, report.logins, run.wrong()) == (1000, 1000, 1, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


@pytest.mark.timeout(900)  # the storage takes most of it
def test_a_worker_is_killed_every_few_seconds(accept: Callable[..., Acceptance]) -> None:
    run = accept(items=300)
    kills, is_over = 0, threading.Event()

    def kill() -> None:
        nonlocal kills
        while not is_over.wait(2):
            run.cluster.kill_worker()
            kills += 1
            before = run.before[(kills - 1) % 4]
            run.cluster.add_worker(*before, options=("--local-directory", FAR) if before else ())

    killing = threading.Thread(target=kill)
    try:
        report = argosy.download(run.voyage.file, after(20, killing.start))
    finally:
        is_over.set()
    killing.join()
    stats = run.voyage.server.stats()
    assert (report.exit_code, report.counts.done, run.wrong()) == (0, 300, [])
    assert stats.replaced_tokens_sent == 0
    assert stats.logins <= 1 + kills


@pytest.mark.timeout(900)  # the storage takes most of it
def test_redis_is_killed_and_started_again(accept: Callable[..., Acceptance]) -> None:
    run = accept(items=200)
    report = argosy.download(run.voyage.file, after(50, run.redis.restart))
    stats = run.voyage.server.stats()
    assert (report.counts.done, report.logins, run.wrong()) == (200, 1, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


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
