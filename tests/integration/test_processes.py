"""Workers in other processes on one session: the strategy `multiprocess`, over real HTTP."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
import processes
from argosy_devkit import Fault
from voyage import Voyage

SetSail = Callable[..., Voyage]

FOUR = {"use": "multiprocess", "processes": 4}

pytestmark = pytest.mark.skipif(not processes.CAN_LOOK, reason="needs /proc to look at processes")


def wait_for_accepted(voyage: Voyage, process: subprocess.Popen[str], number: int) -> None:
    """Wait until the server has accepted so many requests, or the process has ended."""
    while process.poll() is None and voyage.server.stats().accepted < number:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.torture(63)
def test_4_processes_500_items_revoke(set_sail: SetSail) -> None:
    voyage = set_sail(items=500, lease_mode="revoke", size=3000, strategy=FOUR, max_workers=4, token_save_interval=50)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.requests, voyage.wrong()) == (500, 500, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.sessions_revoked, stats.logins) == (0, 0, 0, 1)
    assert any("experimental" in notice for notice in report.notices)


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_threads_in_processes(set_sail: SetSail, start_method: str) -> None:
    strategy = {"use": "multiprocess", "processes": 2, "start_method": start_method}
    voyage = set_sail(items=60, lease_mode="revoke", size=3000, strategy=strategy, max_workers=6)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.bytes, voyage.wrong()) == (60, 180_000, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins, report.logins) == (0, 0, 1, 1)


@pytest.mark.slow
def test_events_and_figures_reach_the_run(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=6,
        lease_mode="revoke",
        size=300_000,
        strategy=FOUR,
        max_workers=2,
        faults=[Fault("status", status=500, times=2, path="/files/")],
    )
    events: list[argosy.Event] = []
    report = argosy.download(voyage.file, events.append)
    kinds = [event.kind for event in events]
    received = sum(event.data["bytes"] for event in events if event.kind == "resource.progress")
    assert (kinds.count("item.started"), kinds.count("item.finished")) == (6, 6)
    assert (kinds[0], kinds[-1]) == ("run.started", "run.finished")
    assert (received, report.bytes, report.retries, report.requests) == (1_800_000, 1_800_000, 2, 8)


@pytest.mark.slow
@pytest.mark.torture(49)
def test_a_random_worker_killed_20_times(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=400, lease_mode="revoke", size=20_000, ttfb=0.01, rate=400_000, strategy=FOUR, max_workers=8
    )
    dice = random.Random(20)
    process = voyage.start("--quiet", "--report", str(voyage.root / "report.json"))
    kills = 0
    while kills < 20 and process.poll() is None:
        # from now on: who starts slowly is not killed again and again before it has begun
        wait_for_accepted(voyage, process, voyage.server.stats().accepted + 4)
        alive = processes.workers(process.pid)
        kills += bool(alive) and processes.kill(dice.choice(alive))
    out, err = process.communicate(timeout=90)
    assert (kills, process.returncode, out, err) == (20, 0, "", "")
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert stats.replaced_tokens_sent == 0
    assert stats.logins <= 1 + kills
    report = json.loads((voyage.root / "report.json").read_text("utf-8"))
    died = [notice for notice in report["notices"] if "died (signal 9)" in notice]
    assert (report["counts"]["done"], report["counts"]["failed"]) == (400, 0)
    assert 0 < len(died) <= 20


@pytest.mark.torture(45)
@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_ctrl_c_drains_and_leaves_no_process(set_sail: SetSail, start_method: str) -> None:
    strategy = {**FOUR, "start_method": start_method}
    voyage = set_sail(items=200, lease_mode="revoke", ttfb=0.02, strategy=strategy, max_workers=4)
    process = voyage.start(start_new_session=True)
    wait_for_accepted(voyage, process, 10)
    below = processes.descendants(process.pid)
    assert len(below) >= 4
    # as a terminal does it: to the whole group, worker processes as well
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert processes.gone(below)
    assert voyage.damaged() == []
    assert voyage.run().returncode == 0
    assert (voyage.wrong(), voyage.server.stats().logins) == ([], 1)


@pytest.mark.slow
@pytest.mark.torture(45)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_processes_that_only_just_start(set_sail: SetSail, number: signal.Signals) -> None:
    """Python itself takes a while to start, in which it knows nothing of who handles what."""
    voyage = set_sail(items=40, lease_mode="revoke", strategy=FOUR, max_workers=4)
    process = voyage.start(start_new_session=True)
    while not (below := processes.workers(process.pid)) and process.poll() is None:
        pass
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out + err
    assert ("Traceback" in err, "died" in err) == (False, False), err
    assert processes.gone(below)
    assert voyage.run().returncode == 0
    assert (voyage.wrong(), voyage.server.stats().logins) == ([], 1)


@pytest.mark.slow
@pytest.mark.torture(46)
def test_sigterm_to_the_whole_group_is_clean(set_sail: SetSail) -> None:
    voyage = set_sail(items=200, lease_mode="revoke", ttfb=0.02, strategy=FOUR, max_workers=4)
    process = voyage.start(start_new_session=True)
    wait_for_accepted(voyage, process, 10)
    below = processes.descendants(process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, out + err
    assert processes.gone(below)
    assert voyage.run().returncode == 0
    assert (voyage.wrong(), voyage.server.stats().logins) == ([], 1)


@pytest.mark.slow
@pytest.mark.torture(49, 83)
def test_workers_of_a_killed_run_end_by_themselves(set_sail: SetSail) -> None:
    voyage = set_sail(items=16, lease_mode="revoke", size=200_000, rate=50_000, strategy=FOUR, max_workers=4)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path is 107 characters long at most
        process = voyage.start(env={**os.environ, "TMPDIR": short})
        wait_for_accepted(voyage, process, 4)
        below = processes.workers(process.pid)
        assert len(below) == 4
        assert list(Path(short).glob("argosy-*/socket"))
        process.kill()
        process.communicate(timeout=60)
        assert processes.gone(below)
        assert list(Path(short).iterdir()) == [], "the workers tidy up behind their run"
    assert voyage.damaged() == []
    voyage.server.change(rate=0)
    voyage.config["strategy"] = "threads"
    assert voyage.run().returncode == 0
    stats = voyage.server.stats()
    assert (voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == ([], 0, 1)


@pytest.mark.slow
def test_expiry_logs_in_once_for_all_processes(set_sail: SetSail) -> None:
    voyage = set_sail(items=120, lease_mode="revoke", size=3000, strategy=FOUR, max_workers=8)
    ended: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished" and not ended:
            ended.append(event.item)
            voyage.server.expire_sessions()

    report = argosy.download(voyage.file, on_event)
    assert (report.counts.done, voyage.wrong()) == (120, [])
    assert (report.logins, voyage.server.stats().logins) == (2, 2)


def test_a_store_that_reaches_one_process_falls_back(set_sail: SetSail) -> None:
    voyage = set_sail(items=5, lease_mode="revoke", strategy=FOUR, cookie_store="memory")
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.strategy_used, report.strategy_asked) == (5, "serial", "multiprocess")
    assert report.strategy_reason is not None
    assert "json-file" in report.strategy_reason
    voyage.config["strict"] = True
    with pytest.raises(argosy.errors.ConfigError, match="only covers one process"):
        argosy.download(voyage.file)


@pytest.mark.slow
def test_without_a_login_any_store_will_do(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, lease_mode="open", strategy=FOUR, auth="none", cookie_store="memory")
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.strategy_used, voyage.wrong()) == (20, "multiprocess", [])


@pytest.mark.slow
def test_a_failed_item_and_a_full_stop_come_through(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=12,
        lease_mode="revoke",
        strategy=FOUR,
        max_retries=0,
        faults=[Fault("status", status=404, times=1, path="/files/")],
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.counts.failed, report.exit_code) == (11, 1, 1)
    assert report.failures[0].kind == "status"


@pytest.mark.slow
def test_a_directory_that_is_gone_ends_the_run(set_sail: SetSail) -> None:
    voyage = set_sail(items=300, lease_mode="revoke", ttfb=0.02, strategy=FOUR)  # enough to hear of the first in time
    taken: list[bool] = []

    def on_event(event: Any) -> None:
        if event.kind == "item.finished" and not taken:
            staging = voyage.library / ".argosy" / "staging"
            staging.rename(voyage.root / "elsewhere")
            staging.touch()
            taken.append(True)

    with pytest.raises(argosy.errors.StorageError) as raised:
        argosy.download(voyage.file, on_event)
    assert raised.value.exit_code == 5
    assert str(voyage.library) in str(raised.value)


@pytest.mark.slow
def test_sigint_once_lets_bodies_end(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", size=40_000, rate=20_000, strategy=FOUR, max_workers=4)
    process = voyage.start()
    wait_for_accepted(voyage, process, 5)  # four items, and the page behind the login
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert len(voyage.done()) >= 4, "what was being transferred is finished"


POOL = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import argosy
from argosy.interfaces.cookie_store import Scope
from argosy_plugins.unix_channel import UnixChannel

class Pool(argosy.Strategy):
    name = "pool-multiprocess"
    summary = "Somebody else's processes"
    needs = Scope.HOST

    def channel(self):
        return UnixChannel()

    def run(self, jobs, work, max_workers):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for job in jobs:
                yield pool.submit(work, job).result()

@argosy.hookimpl
def argosy_strategy():
    return Pool
"""


@pytest.mark.slow
@pytest.mark.torture(84)
def test_ctrl_c_ends_no_worker_of_anybodys_strategy(set_sail: SetSail) -> None:
    voyage = set_sail(items=200, lease_mode="revoke", ttfb=0.02, strategy="pool-multiprocess")
    (voyage.root / "pool.py").write_text(POOL, "utf-8")
    plugin = ("--plugin", str(voyage.root / "pool.py"))
    process = voyage.start(*plugin, start_new_session=True)
    wait_for_accepted(voyage, process, 5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert voyage.damaged() == []
    voyage.config["strategy"] = "threads"
    assert (voyage.run().returncode, voyage.wrong(), voyage.server.stats().logins) == (0, [], 1)
