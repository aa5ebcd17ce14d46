"""Secrets and a Dask cluster: workers resolve them themselves, or get them over TLS alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dask.config
import distributed
import pytest

import argosy
from argosy.config.load import load
from argosy.engine.report import Report
from argosy.engine.run import Run, RunOptions
from argosy.errors import ConfigError, ServiceDown
from argosy.plugins.manager import PluginManager
from dask_cluster import DaskCertificates, DaskCluster
from hazards import TOKEN
from missing import need
from redis_process import NOTHING, RedisProcess
from relay import Relay, inflated
from voyage import Voyage

SetSail = Callable[..., Voyage]
MakeCluster = Callable[..., tuple[DaskCluster, Relay]]

pytestmark = pytest.mark.slow

_dask: Any = distributed  # parts of it have no types

REDIS_PASSWORD = "the password of redis"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisProcess]:
    need("redis-server")
    monkeypatch.setenv("TEST_REDIS_PASSWORD", REDIS_PASSWORD)
    process = RedisProcess(*NOTHING, password=REDIS_PASSWORD)
    yield process
    process.close()


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Start a scheduler that is reached through a relay."""
    made: list[DaskCluster | Relay] = []

    def make(*, tls: bool = False) -> tuple[DaskCluster, Relay]:
        cluster = DaskCluster(tls=tls)
        made.append(cluster)
        relay = Relay(cluster.port)
        made.append(relay)
        cluster.reached_at = relay.port
        return cluster, relay

    yield make
    for part in made:
        part.close()


def set_out(set_sail: SetSail, cluster: DaskCluster, redis: RedisProcess, *, items: int) -> Voyage:
    """Prepare a run whose configuration has the password of Redis in a variable."""
    store = {"use": "redis", "url": f"redis://{redis.where}/0", "password": {"env": "TEST_REDIS_PASSWORD"}}
    strategy = {"use": "dask", "address": cluster.address}
    return set_sail(items=items, lease_mode="revoke", size=3000, strategy=strategy, max_workers=4, cookie_store=store)


def run_with(voyage: Voyage, typed: list[str]) -> Report:
    """Run it at a terminal at which the password is typed; `typed` gets the prompts."""

    def ask(text: str) -> str:
        typed.append(text)
        return str(voyage.server.password)

    plugins = PluginManager()
    return Run(load(voyage.file, plugins), plugins, RunOptions(ask=ask)).execute()


def events_of(cluster: DaskCluster) -> bytes:
    """Return what the scheduler keeps of its events."""
    with _dask.Client(cluster.address, set_as_default=False) as client:
        events = client.get_events()
    texts = [
        message if isinstance(message, bytes) else repr(message).encode()
        for topic in events
        for _, message in events[topic]
    ]
    return b"".join(map(inflated, texts))


def test_workers_read_secrets_themselves(
    set_sail: SetSail, make_cluster: MakeCluster, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, relay = make_cluster()
    voyage = set_out(set_sail, cluster, redis, items=20)
    voyage.config["auth"]["fields"]["password"] = {"env": "TEST_PASSWORD"}
    monkeypatch.setenv("TEST_PASSWORD", voyage.server.password)
    for _ in range(2):
        cluster.add_worker()  # inherits the variables
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.logins, voyage.wrong()) == (20, 1, [])
    seen = inflated(relay.seen) + events_of(cluster)
    for name in ("TEST_PASSWORD", "TEST_REDIS_PASSWORD", voyage.expected[0].name):
        assert name.encode() in seen, "what is no secret can be read there"
    for secret in (voyage.server.password, REDIS_PASSWORD):
        assert secret.encode() not in seen
    assert TOKEN.search(seen) is None, "tokens do not go through the cluster"


def test_what_is_typed_is_not_sent_without_tls(
    set_sail: SetSail, make_cluster: MakeCluster, redis: RedisProcess
) -> None:
    cluster, relay = make_cluster()
    voyage = set_out(set_sail, cluster, redis, items=3)
    voyage.config["auth"]["fields"]["password"] = {"prompt": "Password of the library"}
    typed: list[str] = []
    with pytest.raises(ConfigError, match="need a secret that you type") as caught:
        run_with(voyage, typed)
    assert typed == [], "it is refused before anybody is asked"
    for words in ("'dask'", "Password of the library", '"env"', '"file"', "tls://"):
        assert words in str(caught.value)
    assert voyage.server.stats().logins == 0
    assert relay.seen == b"", "and before the cluster is asked for anything"


def test_what_is_typed_reaches_workers_over_tls(
    set_sail: SetSail, make_cluster: MakeCluster, redis: RedisProcess
) -> None:
    cluster, relay = make_cluster(tls=True)
    for _ in range(2):
        cluster.add_worker()
    voyage = set_out(set_sail, cluster, redis, items=50)
    voyage.config["auth"]["fields"]["password"] = {"prompt": "Password of the library"}
    typed: list[str] = []
    assert cluster.certificates is not None
    with dask.config.set(cluster.certificates.settings):
        report = run_with(voyage, typed)
        kept = events_of(cluster)
    assert (report.counts.done, report.logins, voyage.wrong()) == (50, 1, [])
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)
    assert typed == ["Password of the library"]
    assert b"Password of the library" in kept, "a question of a worker"
    assert len(relay.seen) > 10_000
    assert b"Password of the library" not in relay.seen
    assert voyage.server.password.encode() not in relay.seen + kept


def test_what_is_typed_reaches_processes_of_this_machine(set_sail: SetSail) -> None:
    voyage = set_sail(items=10, lease_mode="revoke", strategy={"use": "dask", "processes": 2}, max_workers=2)
    voyage.config["auth"]["fields"]["password"] = {"prompt": "Password of the library"}
    typed: list[str] = []
    report = run_with(voyage, typed)
    assert (report.counts.done, report.logins, voyage.wrong()) == (10, 1, [])
    assert typed == ["Password of the library"]


def test_certificates_that_are_missing_are_named(
    set_sail: SetSail, make_cluster: MakeCluster, redis: RedisProcess
) -> None:
    cluster, _ = make_cluster(tls=True)
    voyage = set_out(set_sail, cluster, redis, items=1)
    with pytest.raises(ConfigError, match="certificate") as caught:
        argosy.download(voyage.file)
    assert "distributed.comm.tls" in str(caught.value.hint)


def test_certificates_of_somebody_else_are_named(
    set_sail: SetSail, make_cluster: MakeCluster, redis: RedisProcess
) -> None:
    cluster, _ = make_cluster(tls=True)
    other = DaskCertificates()
    voyage = set_out(set_sail, cluster, redis, items=1)
    try:
        with dask.config.set(other.settings), pytest.raises(ServiceDown, match="certificate"):
            argosy.download(voyage.file)
    finally:
        other.close()
