"""Runs that share one session on a Redis server: processes, terminals, machines, and a server that goes down under them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import script
from missing import need
from redis_process import EVERYTHING, NOTHING, RedisProcess
from voyage import Voyage

pytestmark = pytest.mark.slow

SetSail = Callable[..., Voyage]
StartRedis = Callable[..., RedisProcess]

FOUR = {"use": "multiprocess", "processes": 4}


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    need("redis-server")
    running: list[RedisProcess] = []

    def start(*settings: str) -> RedisProcess:
        running.append(RedisProcess(*settings))
        return running[-1]

    yield start
    for process in running:
        process.close()


def on(server: RedisProcess, **options: Any) -> dict[str, Any]:
    return {"use": "redis", "url": f"redis://{server.where}", **options}


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Wait for programs; return how each ended, and what it said of errors."""
    said = [process.communicate(timeout=100)[1] for process in processes]
    return [(process.returncode, err) for process, err in zip(processes, said, strict=True)]


@pytest.mark.torture(61, 63)
def test_processes_and_terminals_on_one_session(set_sail: SetSail, start_redis: StartRedis) -> None:
    """A run of four processes, another of threads, and a script of somebody's own."""
    server = start_redis()
    voyage = set_sail(items=150, lease_mode="revoke", size=3000, max_workers=8, cookie_store=on(server), strategy=FOUR)
    elsewhere = ("--directory", str(voyage.root / "elsewhere"), "--strategy", "threads")
    runs = [voyage.start("--quiet"), voyage.start("--quiet", *elsewhere)]
    while voyage.server.stats().accepted < 2:
        assert [run.poll() for run in runs] == [None, None]
        time.sleep(0.01)
    own = script.start(voyage.server.url, 20, "redis", url=f"redis://{server.where}")
    assert ended(*runs, own) == [(0, "")] * 3
    stats = voyage.server.stats()
    assert (voyage.wrong(), len(list((voyage.root / "elsewhere").glob("item-*")))) == ([], 150)
    assert (stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.logins) == (0, 0, 0, 1)
    assert stats.accepted == 1 + 2 * 150 + 4 * 20


@pytest.mark.parametrize("settings", [EVERYTHING, NOTHING], ids=["kept", "lost"])
def test_the_server_is_killed_and_started_again_under_a_run(
    set_sail: SetSail, start_redis: StartRedis, settings: tuple[str, ...]
) -> None:
    """What it kept goes on; what it lost costs a login for each time, and no replaced token is sent."""
    server = start_redis(*settings)
    voyage = set_sail(items=200, lease_mode="revoke", size=3000, ttfb=0.005, max_workers=8, cookie_store=on(server))
    run = voyage.start("--quiet", "--report", str(voyage.root / "report.json"))
    kills = 3
    for kill in range(kills):
        while voyage.server.stats().accepted < 15 + 45 * kill:
            assert run.poll() is None
            time.sleep(0.01)
        server.kill()
        time.sleep(0.5)
        server.start()
    ((code, err),) = ended(run)
    stats = voyage.server.stats()
    report = json.loads((voyage.root / "report.json").read_text("utf-8"))
    assert (code, report["counts"]["done"], voyage.wrong()) == (0, 200, []), err
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)
    if settings is EVERYTHING:
        assert (err, stats.logins) == ("", 1)
    else:
        assert stats.logins <= 1 + kills, "none where the answer to a request puts the session back"
        assert any("has lost the session 'default'" in notice for notice in report["notices"])


@pytest.mark.torture(48)
def test_a_run_that_was_stopped_past_its_time_is_fenced(set_sail: SetSail, start_redis: StartRedis) -> None:
    """Another one goes on without it; when it wakes, it takes what that one has."""
    server = start_redis()
    store = on(server, ttl=1)
    voyage = set_sail(items=150, lease_mode="revoke", size=3000, ttfb=0.01, max_workers=4, cookie_store=store)
    runs = [voyage.start("--quiet"), voyage.start("--quiet", "--directory", str(voyage.root / "elsewhere"))]
    while voyage.server.stats().accepted < 20:
        assert [run.poll() for run in runs] == [None, None]
        time.sleep(0.01)
    stops = 3
    for _ in range(stops):
        os.kill(runs[0].pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(runs[0].pid, signal.SIGCONT)
        time.sleep(0.1)
    assert [code for code, _ in ended(*runs)] == [0, 0]
    stats = voyage.server.stats()
    assert (voyage.wrong(), len(list((voyage.root / "elsewhere").glob("item-*")))) == ([], 150)
    assert stats.replaced_tokens_sent == 0
    assert stats.logins <= 1 + stops


@pytest.mark.torture(61)
def test_machines_of_different_names(set_sail: SetSail, start_redis: StartRedis) -> None:
    """Each run has a host name and process numbers of its own, as on two machines."""
    need("unshare")
    new = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*new, "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not make name spaces here")
    server = start_redis()
    voyage = set_sail(items=80, lease_mode="revoke", size=3000, max_workers=4, cookie_store=on(server))
    argosy = f"exec {sys.executable} -m argosy download {voyage.file} --quiet --directory"
    runs = [
        subprocess.Popen(
            [*new, "sh", "-c", f"hostname {name} && {argosy} {voyage.root / name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("library", "archive")
    ]
    admin = server.client()
    hosts: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            record: Any = admin.hget("{argosy}:session:default", "record")
            holder = json.loads(record or "{}").get("holder")
            hosts.update({holder["host"]} if holder else ())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert ended(*runs) == [(0, "")] * 2
    finally:
        over.set()
        looking.join()
        admin.close()
    stats = voyage.server.stats()
    assert hosts == {"library", "archive"}
    assert [len(list((voyage.root / name).glob("item-*"))) for name in ("library", "archive")] == [80, 80]
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
