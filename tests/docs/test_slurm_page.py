"""The page about Slurm: its files are jobs of a real Slurm, with the Redis server of that page."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from documents import ROOT, files
from missing import need
from redis_page import PROGRAMS as REDIS
from redis_page import redis_of_the_page
from slurm_cluster import PROGRAMS, SlurmCluster
from voyage import Voyage

SetSail = Callable[..., Voyage]

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "how-to" / "run-on-slurm.md"
PATIENCE = 120.0


@pytest.fixture
def slurm() -> Iterator[SlurmCluster]:
    need(*PROGRAMS, *REDIS)
    cluster = SlurmCluster()
    yield cluster
    cluster.close()


def written(voyage: Voyage) -> None:
    """Write the files of the page, for the interpreter of the tests, the network of the only node, and four tasks."""
    programs = Path(sys.executable).parent
    for name, text in files(PAGE).items():
        text = text.replace("venv/bin/", f"{programs}/").replace('"eth0"', '"lo"')
        text = text.replace("--array=1-10", "--array=1-4").replace("auto/10", "auto/4").replace("JOBS = 4", "JOBS = 2")
        (voyage.root / name).write_text(text, "utf-8")


def delay(voyage: Voyage, seconds: float) -> None:
    """Let all tasks together send one request in so many seconds, so that a signal comes before they are done."""
    file = voyage.root / "argosy.toml"
    file.write_text(re.sub("download_delay = .*", f"download_delay = {seconds}", file.read_text("utf-8")), "utf-8")


def logs(voyage: Voyage) -> str:
    return "\n".join(path.read_text("utf-8") for path in voyage.root.rglob("*.log"))


def test_an_array(set_sail: SetSail, slurm: SlurmCluster) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", size=2000)
    written(voyage)
    with redis_of_the_page(voyage.root, voyage.server.url):
        done = slurm.call("sbatch", "--wait", "array.sbatch", folder=voyage.root)
        assert done.returncode == 0, done.stderr + logs(voyage)
        stats = voyage.server.stats()
        assert voyage.wrong() == []
        assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)
        assert stats.accepted == 1 + 60, "each item once, and the login"
        configuration = str(voyage.root / "argosy.toml")
        assert "shards     4 of 4\ndone       60 items" in voyage.argosy("status", configuration).stdout
        assert voyage.argosy("verify", configuration).returncode == 0

        again = slurm.call("sbatch", "--wait", "--array=2,4", "array.sbatch", folder=voyage.root)
        assert again.returncode == 0, again.stderr + logs(voyage)
        assert voyage.server.stats().accepted == stats.accepted, "there was nothing left to do"


def test_a_task_that_reaches_its_time_limit_is_submitted_again(set_sail: SetSail, slurm: SlurmCluster) -> None:
    """It gets the signal that `--signal` asks for; the limit of a job is at least a minute, so the test sends it."""
    voyage = set_sail(items=100, lease_mode="revoke", size=2000)
    written(voyage)
    one = ("sbatch", "--array=1", "array.sbatch")
    with redis_of_the_page(voyage.root, voyage.server.url):
        delay(voyage, 3)
        job = slurm.call(*one, folder=voyage.root).stdout.split()[-1]
        _wait_for(lambda: voyage.server.stats().accepted >= 3)
        slurm.call("scancel", "--signal=INT", "--batch", f"{job}_1", folder=voyage.root)
        _wait_for(lambda: not slurm.jobs())
        delay(voyage, 0.01)
        before = voyage.server.stats().accepted
        assert "The run was stopped; the session and all finished work are saved." in logs(voyage)
        done = slurm.call("sbatch", "--wait", "--array=1", "array.sbatch", folder=voyage.root)
        assert done.returncode == 0, logs(voyage)
        stats = voyage.server.stats()
        mine = len(list(voyage.library.glob("item-*")))
        assert stats.accepted > before
        assert (stats.logins, stats.replaced_tokens_sent) == (1, 0)
        assert stats.accepted <= 1 + mine + 16, "what was finished was not downloaded again"


def test_dask_workers_as_jobs(set_sail: SetSail, slurm: SlurmCluster) -> None:
    """Its time limit comes first, as above; the same job goes on from there."""
    voyage = set_sail(items=60, lease_mode="revoke", size=2000)
    written(voyage)
    with redis_of_the_page(voyage.root, voyage.server.url):
        delay(voyage, 1.5)
        job = slurm.call("sbatch", "dask.sbatch", folder=voyage.root).stdout.split()[-1]
        _wait_for(lambda: voyage.server.stats().accepted >= 3)
        slurm.call("scancel", "--signal=INT", "--batch", job, folder=voyage.root)
        _wait_for(lambda: not slurm.jobs())
        assert "The run was stopped; the session and all finished work are saved." in logs(voyage)
        assert len(voyage.done()) < 60
        delay(voyage, 0.01)

        done = slurm.call("sbatch", "--wait", "dask.sbatch", folder=voyage.root)
        assert done.returncode == 0, logs(voyage)
        stats = voyage.server.stats()
        assert voyage.wrong() == []
        assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)
        workers = [path.read_text("utf-8") for path in (voyage.root / "dask-logs").glob("*.err")]
        assert len(workers) >= 2
        assert all("tls://127.0.0.1" in text and "tcp://" not in text for text in workers)
        _wait_for(lambda: not slurm.jobs())
        assert not list(voyage.root.glob(".tls-*")), "the keys of the run are gone"


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
