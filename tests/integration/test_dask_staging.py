"""What workers on other machines keep on their own disks, and what becomes of it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.events import Event
from dask_cluster import DaskCluster
from missing import need
from namespaces import TMP, Machines
from redis_process import EVERYTHING, RedisProcess
from relay import Relay
from voyage import Voyage

SetSail = Callable[..., Voyage]

pytestmark = pytest.mark.slow

#: Where a worker on another machine keeps its files.
FAR = f"{TMP}/dask"


@dataclass
class Far:
    """A cluster whose workers are on other machines, which see the target directory and no other folder of the run."""

    cluster: DaskCluster
    voyage: Voyage
    relay: Relay

    def there(self, number: int) -> list[str]:
        """Return the files that a worker has on its own disk, apart from Dask's own."""
        root = Path(f"/proc/{self.cluster.workers[number].pid}/root{FAR}")
        found = (str(path.relative_to(root)) for path in root.rglob("*"))
        return [path for path in found if "argosy-" in path]

    def left(self) -> list[str]:
        """Return what is in the target directory beside the results and the ledger."""
        private = self.voyage.library / ".argosy"
        files = (str(path.relative_to(private)) for path in private.rglob("*") if path.is_file())
        return [path for path in files if path.startswith(("staging", "copies"))]


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    made = Machines()
    monkeypatch.setattr("argosy_devkit.client._HOST", made.host)
    yield made
    made.close()


@pytest.fixture
def far(machines: Machines, set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Far]]:
    need("redis-server")
    made: list[Any] = [RedisProcess(*EVERYTHING, "--bind", "127.0.0.1", machines.host, "--protected-mode", "no")]
    redis = made[0]

    def start(**options: Any) -> Far:
        cluster = DaskCluster(host=machines.host)
        relay = Relay(cluster.port, machines.host)
        made.extend((cluster, relay))
        cluster.reached_at = relay.port
        store = {"use": "redis", "url": f"redis://{machines.host}:{redis.port}/0"}
        strategy = {"use": "dask", "address": cluster.address}
        voyage = set_sail(**{"max_workers": 2, **options}, cookie_store=store, strategy=strategy)
        voyage.config["auth"]["fields"]["password"] = {"env": "LIBRARY_PASSWORD"}
        monkeypatch.setenv("LIBRARY_PASSWORD", voyage.server.password)
        voyage.library.mkdir()
        for number in range(2):
            cluster.add_worker(*machines.add(number, voyage.library)[1], options=("--local-directory", FAR))
        return Far(cluster, voyage, relay)

    yield start
    for one in reversed(made):
        one.close()


def test_files_and_archives_are_made_on_workers(far: Callable[..., Far]) -> None:
    run = far(items=20, lease_mode="revoke", size=400_000, resources_per_item=2, output=["files", "zip"])
    seen_here: set[str] = set()
    seen_there: set[str] = set()

    def look(event: Event) -> None:
        seen_here.update(run.left())
        seen_there.update(run.there(0))

    report = argosy.download(run.voyage.file, look)
    assert (report.counts.done, report.failures) == (20, ())
    for each in run.voyage.expected:
        item, _, name = each.name.partition("/")
        assert sha256((run.voyage.library / each.name).read_bytes()).hexdigest() == each.sha256
        with zipfile.ZipFile(run.voyage.library / f"{item}.zip") as archive:
            assert sha256(archive.read(name)).hexdigest() == each.sha256
    assert not any("scratch" in path or path.endswith((".part", "-0")) for path in seen_here)
    assert any("scratch" in path for path in seen_there), "archives are made on the worker's own disk"
    assert (run.left(), run.there(0), run.there(1)) == ([], [], [])
    assert len(run.relay.seen) < 20 * 400_000, "bodies do not pass through the scheduler"


def test_the_next_worker_removes_what_a_killed_one_left(far: Callable[..., Far]) -> None:
    run = far(items=6, lease_mode="revoke", size=2_000_000, rate=1_000_000, max_workers=3)
    folder = run.cluster.folder / "disk"
    here = ("--local-directory", str(folder))
    run.cluster.workers.reverse()
    run.cluster.add_worker(options=here)
    run.cluster.workers.reverse()  # the first to be killed
    left: list[Path] = []

    def kill(event: Event) -> None:
        parts = list(folder.rglob("*.part"))
        if not left and event.kind == "resource.progress" and parts:
            left.extend(parts)
            run.cluster.kill_worker()

    report = argosy.download(run.voyage.file, kill)
    assert (report.counts.done, run.voyage.wrong()) == (6, [])
    assert [path.exists() for path in left] == [True], "what a killed worker has left"
    run.cluster.add_worker(options=here)
    assert not left[0].exists()
    assert run.left() == []


def test_copies_of_killed_workers_are_removed_by_the_next_run(far: Callable[..., Far]) -> None:
    run = far(items=2)
    copies = run.voyage.library / ".argosy" / "copies"
    copies.mkdir(parents=True)
    (copies / "of-a-live-worker").write_bytes(b"half")
    argosy.download(run.voyage.file)
    assert (run.voyage.wrong(), run.left()) == ([], ["copies/of-a-live-worker"])


def test_a_pool_of_sessions_is_spread_over_the_workers(far: Callable[..., Far]) -> None:
    run = far(items=60, lease_mode="revoke", size=3000, sessions=2, max_workers=2, max_sessions=2)
    report = argosy.download(run.voyage.file)
    stats = run.voyage.server.stats()
    assert (report.counts.done, report.sessions, report.logins, run.voyage.wrong()) == (60, 2, 2, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 2)
