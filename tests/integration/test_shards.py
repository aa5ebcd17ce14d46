"""Runs that divide the items of one list among them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from argosy.models.shard import Shard
from missing import need
from redis_process import RedisProcess
from voyage import Voyage

SetSail = Callable[..., Voyage]


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    said = [process.communicate(timeout=100)[1] for process in processes]
    return [(process.returncode, err) for process, err in zip(processes, said, strict=True)]


def shards(voyage: Voyage, *numbers: int, count: int = 3, **options: Any) -> list[subprocess.Popen[str]]:
    return [voyage.start("--shard", f"{number}/{count}", **options) for number in numbers]


def grown(voyage: Voyage, items: int) -> None:
    """Let the list have more items, of which the first are the same."""
    voyage.expected = voyage.server.manifest(voyage.root / "books.jsonl", items=items, size=2000)


def test_three_shards_at_once_on_one_directory_and_one_session(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", size=2000, max_workers=3)
    runs = shards(voyage, 1, 2, 3)
    assert [code for code, _ in ended(*runs)] == [0, 0, 0]
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)
    assert stats.accepted == 1 + 60, "each item once, and the login"
    status = voyage.argosy("status", str(voyage.file)).stdout
    assert "shards     3 of 3\ndone       60 items" in status
    verified = voyage.argosy("verify", str(voyage.library))
    assert (verified.returncode, verified.stderr) == (0, "60 files read (120 kB), 0 items damaged.\n")


def test_of_a_list_that_grew_only_the_new_items_move(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", size=2000)
    assert [code for code, _ in ended(*shards(voyage, 1, 2, 3))] == [0, 0, 0]
    before = voyage.server.stats().accepted
    grown(voyage, 40)
    assert [code for code, _ in ended(*shards(voyage, 1, 2, 3))] == [0, 0, 0]
    assert voyage.wrong() == []
    assert voyage.server.stats().accepted == before + 10


@pytest.mark.parametrize("then", [("--shard", "1/1"), ()], ids=["another number", "without shards"])
def test_other_divisions_know_what_is_done(set_sail: SetSail, then: tuple[str, ...]) -> None:
    """First some items without shards, then shards, then all in another way: each item is downloaded once."""
    voyage = set_sail(items=30, lease_mode="revoke", size=2000, output=["files", "index"])
    assert voyage.run("--limit", "7").returncode == 0
    assert [code for code, _ in ended(*shards(voyage, 1, 2))] == [0, 0]
    for number in (1, 2):
        lines = (voyage.library / f"index-{number}-of-3.jsonl").read_text("utf-8").splitlines()
        ids = {json.loads(line)["id"] for line in lines}
        assert ids == {line["id"] for line in manifest(voyage) if Shard(number, 3).has(line["id"])}
    left = sum(Shard(3, 3).has(line["id"]) for line in manifest(voyage)[7:])
    before = voyage.server.stats().accepted
    assert f"{left} of 30 items to download" in voyage.run("--dry-run", *then).stderr
    assert voyage.run(*then).returncode == 0
    stats = voyage.server.stats()
    assert (stats.accepted, stats.accepted - before, stats.logins) == (1 + 30, left, 1)
    whole = voyage.library / ("index-1-of-1.jsonl" if then else "index.jsonl")
    assert len(whole.read_text("utf-8").splitlines()) == 30
    for path in voyage.library.glob("index*.jsonl"):
        path.unlink()
    assert voyage.wrong() == []
    assert "done       30 items" in voyage.argosy("status", str(voyage.library)).stdout


def manifest(voyage: Voyage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (voyage.root / "books.jsonl").read_text("utf-8").splitlines()]


def test_another_division_waits_until_shards_have_ended(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", size=2000, ttfb=0.3, max_workers=1)
    (shard,) = shards(voyage, 2)
    try:
        while voyage.server.stats().accepted < 3:
            assert shard.poll() is None
            time.sleep(0.01)
        status = voyage.argosy("status", str(voyage.file)).stdout
        assert "shards     1 of 3 (not started: 1, 3)\n" in status
        assert "(shard 2/3), for" in status
        for arguments in ((), ("--shard", "2/4")):
            late = voyage.run(*arguments)
            assert (late.returncode, "Shard 2/3 is at work" in late.stderr) == (6, True)
            assert "divide the items in the same way" in late.stderr
    finally:
        shard.send_signal(signal.SIGTERM)
        assert shard.communicate(timeout=60)
    assert voyage.run().returncode == 0
    assert voyage.wrong() == []


def test_a_killed_shard_goes_on(set_sail: SetSail) -> None:
    voyage = set_sail(items=40, lease_mode="revoke", size=2000, ttfb=0.05, max_workers=4)
    (shard,) = shards(voyage, 1)
    while voyage.server.stats().accepted < 8:
        assert shard.poll() is None
        time.sleep(0.01)
    shard.kill()
    shard.communicate()
    assert [code for code, _ in ended(*shards(voyage, 1, 2, 3))] == [0, 0, 0]
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert stats.replaced_tokens_sent == 0
    assert stats.logins <= 2
    assert not [*voyage.library.glob(".argosy/shards/*/.argosy/staging/*")]


def test_damage_is_found_and_repaired_where_it_is_recorded(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", size=2000, output=["files", "index"])
    assert [code for code, _ in ended(*shards(voyage, 1, 2))] == [0, 0]
    name = next(expected.name for expected in voyage.expected if Shard(2, 3).has(expected.name.partition("/")[0]))
    (voyage.library / name).write_bytes(b"x")
    (voyage.library / "index-1-of-3.jsonl").unlink()
    found = voyage.argosy("verify", "--requeue", str(voyage.file))
    assert found.returncode == 1
    assert name in found.stdout
    assert "index-1-of-3.jsonl" in found.stdout
    before = voyage.server.stats().accepted
    assert [code for code, _ in ended(*shards(voyage, 1, 2))] == [0, 0]
    assert voyage.server.stats().accepted == before + 1
    assert voyage.argosy("verify", str(voyage.file)).returncode == 0


def test_each_shard_has_a_session_of_its_own(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", size=2000, session="shard-{shard}", max_workers=2)
    assert [code for code, _ in ended(*shards(voyage, 1, 2, 3))] == [0, 0, 0]
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.logins, stats.replaced_tokens_sent) == (3, 0)
    assert "session    shard-2: idle" in voyage.argosy("status", str(voyage.file)).stdout
    without = voyage.run()
    assert without.returncode == 2
    assert "The session 'shard-{shard}' needs a shard." in without.stderr


ARRAY = {
    "SLURM_ARRAY_TASK_ID": "2",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_MAX": "3",
    "SLURM_ARRAY_TASK_COUNT": "3",
}


def test_a_task_of_an_array_does_not_share_a_session_of_one_machine(
    set_sail: SetSail, monkeypatch: pytest.MonkeyPatch
) -> None:
    voyage = set_sail(items=9, lease_mode="revoke", size=2000)
    for name, value in ARRAY.items():
        monkeypatch.setenv(name, value)
    run = voyage.run("--shard", "auto")
    assert run.returncode == 2
    assert "The shards share the session 'default', and the lease of 'json-file' only covers one machine." in run.stderr
    assert voyage.server.stats().logins == 0
    voyage.config["session"] = "shard-{shard}"
    assert voyage.run("--shard", "auto").returncode == 0
    assert voyage.server.stats().logins == 1


@pytest.mark.slow
def test_machines_share_one_session_by_redis(set_sail: SetSail) -> None:
    """Each shard has a host name and process numbers of its own, as tasks on three machines; one is killed."""
    need("redis-server")
    need("unshare")
    new = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*new, "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not make name spaces here")
    server = RedisProcess()
    try:
        store = {"use": "redis", "url": f"redis://{server.where}", "ttl": 1}
        voyage = set_sail(items=150, lease_mode="revoke", size=3000, ttfb=0.005, max_workers=4, cookie_store=store)
        runs = {number: machine(voyage, new, number) for number in (1, 2, 3)}
        while voyage.server.stats().accepted < 40:
            assert [run.poll() for run in runs.values()] == [None] * 3
            time.sleep(0.01)
        runs[2].kill()
        runs[2].communicate()
        runs[2] = machine(voyage, new, 2)
        assert ended(*runs.values()) == [(0, "")] * 3
        stats = voyage.server.stats()
        assert voyage.wrong() == []
        assert stats.replaced_tokens_sent == 0
        assert stats.logins <= 2, "one, and one more if the killed shard held the token"
        assert "done       150 items" in voyage.argosy("status", str(voyage.file)).stdout
    finally:
        server.close()


def machine(voyage: Voyage, new: list[str], number: int) -> subprocess.Popen[str]:
    line = f"hostname node-{number} && exec {sys.executable} -m argosy download {voyage.file} -q --shard {number}/3"
    return subprocess.Popen([*new, "sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
