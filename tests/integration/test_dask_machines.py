"""Machines of a Dask cluster that lack something, and clusters without workers: the user is told at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import ConfigError
from argosy.events import Event, EventKind
from dask_cluster import DaskCluster
from missing import need
from other_machines import OtherPython, other_python
from redis_process import NOTHING, RedisProcess
from voyage import Voyage, after

SetSail = Callable[..., Voyage]

pytestmark = pytest.mark.slow

_PLUGIN = """
import argosy
from argosy.interfaces import Output

class Mine(Output):
    name = "mine"
    summary = "For the test of machines"

    def produce(self, item, scratch):
        return ()

@argosy.hookimpl
def argosy_output():
    return Mine
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    need("redis-server")
    process = RedisProcess(*NOTHING)
    yield process
    process.close()


@pytest.fixture
def cluster() -> Iterator[DaskCluster]:
    made = DaskCluster()
    yield made
    made.close()


@pytest.fixture
def voyage(set_sail: SetSail, cluster: DaskCluster, redis: RedisProcess) -> Voyage:
    redis.client().flushall()
    store = {"use": "redis", "url": f"redis://{redis.where}/0"}
    strategy = {"use": "dask", "address": cluster.address}
    return set_sail(items=40, lease_mode="revoke", size=300, strategy=strategy, max_workers=2, cookie_store=store)


def add(cluster: DaskCluster, python: OtherPython) -> None:
    cluster.add_worker(dask=python.dask, env=python.env)


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ({"without": ("argosy",)}, "has no argosy, and this run has"),
        ({"version": "0.1.7"}, r"has argosy 0\.1\.7, and this run has"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_another_argosy_or_none(
    cluster: DaskCluster, voyage: Voyage, tmp_path: Path, lacks: dict[str, Any], words: str, late: bool
) -> None:
    other = other_python(tmp_path / "other", **lacks)
    cluster.add_worker()
    if late:
        voyage.config["max_workers"] = 8  # more than it has threads: the new worker gets one of them at once
        voyage.config["download_delay"] = 0.2
        adding = threading.Thread(target=add, args=(cluster, other))
        follow = after(3, adding.start)
    else:
        add(cluster, other)
        follow = after(1000, lambda: None)
    with pytest.raises(ConfigError, match=rf"The Dask worker tcp://127\.0\.0\.1:\d+ {words}") as caught:
        argosy.download(voyage.file, follow)
    assert "Install the same version" in str(caught.value.hint)
    if late:
        adding.join()
        assert 3 <= len(voyage.done()) < 40, "what was done is kept"
    else:
        assert not voyage.done()
    assert voyage.damaged() == []


@pytest.mark.parametrize("how", ["installed", "class", "file"])
def test_a_plugin_that_is_only_here(
    cluster: DaskCluster, voyage: Voyage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    folder = tmp_path / "plugins"
    described = folder / "mine-1.0.dist-info"
    described.mkdir(parents=True)
    (folder / "mine_of_this_machine.py").write_text(_PLUGIN, "utf-8")
    monkeypatch.syspath_prepend(str(folder))
    plugins: list[Any] = []
    words = "There is no output plugin 'mine'"
    if how == "installed":
        (described / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n", "utf-8")
        (described / "entry_points.txt").write_text("[argosy]\nmine = mine_of_this_machine\n", "utf-8")
    elif how == "class":
        plugins.append(__import__("mine_of_this_machine").Mine)
        words = "No module named 'mine_of_this_machine'"
    else:
        plugins.append(folder / "mine_of_this_machine.py")
        words = "There is no plugin file"
    voyage.config["output"] = ["files", "mine"]
    add(cluster, other_python(tmp_path / "other"))

    def on_event(event: Event) -> None:
        if event.kind is EventKind.RUN_STARTED and how == "file":  # this process has imported it
            plugins[0].unlink()

    with pytest.raises(ConfigError, match=rf"The Dask worker tcp://127\.0\.0\.1:\d+ cannot do its work: {words}"):
        argosy.download(voyage.file, on_event, plugins=plugins)
    assert not voyage.done()


def test_an_extra_that_is_only_here(cluster: DaskCluster, voyage: Voyage, tmp_path: Path) -> None:
    add(cluster, other_python(tmp_path / "other", without=("redis",)))
    with pytest.raises(
        ConfigError, match=r"The Dask worker tcp://127\.0\.0\.1:\d+ cannot do its work: .*redis"
    ) as caught:
        argosy.download(voyage.file)
    assert "pip install 'argosy[redis]'" in str(caught.value.hint)
    assert not voyage.done()


def test_a_scheduler_needs_no_argosy(set_sail: SetSail, redis: RedisProcess, tmp_path: Path) -> None:
    bare = other_python(tmp_path / "other", without=("argosy",))
    cluster = DaskCluster(dask=bare.dask, env=bare.env)
    try:
        cluster.add_worker()
        strategy = {"use": "dask", "address": cluster.address}
        store = {"use": "redis", "url": f"redis://{redis.where}/0"}
        redis.client().flushall()
        voyage = set_sail(items=10, lease_mode="revoke", strategy=strategy, max_workers=2, cookie_store=store)
        report = argosy.download(voyage.file)
        assert (report.counts.done, report.logins, voyage.wrong()) == (10, 1, [])
    finally:
        cluster.close()


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_a_cluster_without_workers_is_waited_for(cluster: DaskCluster, voyage: Voyage, when: str) -> None:
    notices: list[str] = []
    adding = threading.Thread(target=cluster.add_worker)

    def on_notice(event: Event) -> None:
        if event.kind is EventKind.RUN_NOTICE and "waits for one" in event.data["message"]:
            notices.append(event.data["message"])
            adding.start()

    kill = after(3 if when == "later" else 1000, cluster.kill_worker)
    if when == "later":
        cluster.add_worker()

    def on_event(event: Event) -> None:
        on_notice(event)
        kill(event)

    report = argosy.download(voyage.file, on_event)
    adding.join()
    assert (report.counts.done, voyage.wrong()) == (40, [])
    (notice,) = notices
    assert f"the Dask scheduler at {cluster.address}; the run waits for one." in notice
    assert notice.endswith(f"Start some: dask worker {cluster.address}")
    assert notice in report.notices


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_the_wait_for_workers(cluster: DaskCluster, voyage: Voyage, signals: int) -> None:
    process = voyage.start()
    assert process.stderr is not None
    for line in process.stderr:
        if "No worker has connected" in line:
            break
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Start it again to continue" in said
    cluster.add_worker()
    assert argosy.download(voyage.file).counts.done == 40
