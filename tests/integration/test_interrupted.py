"""Runs that are killed, interrupted or doubled, and what the next run makes of them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

import processes
from argosy.state.ledger import Ledger
from argosy_devkit import Fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


def wait_for_done(voyage: Voyage, process: subprocess.Popen[str], number: int) -> None:
    """Wait until so many items are done, or the process has ended."""
    while process.poll() is None and len(voyage.done()) < number:
        time.sleep(0.02)


def end(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    return out + err


@pytest.mark.torture(24, 47)
def test_killed_five_times(set_sail: SetSail) -> None:
    voyage = set_sail(items=500, lease_mode="revoke", max_workers=8, size=3000)
    fetched_before: set[str] = set()
    for kill in range(1, 6):
        process = voyage.start("--quiet")
        wait_for_done(voyage, process, 80 * kill)
        process.kill()
        assert end(process) == ""
        assert voyage.damaged() == [], "a partial file stands under a final name"
        _assert_not_fetched_again(voyage, fetched_before)
        fetched_before = voyage.done()
        voyage.server.reset_stats()
    last = voyage.run("--quiet")
    assert (last.returncode, last.stderr) == (0, "")
    assert voyage.wrong() == []
    _assert_not_fetched_again(voyage, fetched_before)
    assert len(voyage.done()) == 500
    assert voyage.server.stats().replaced_tokens_sent == 0


def _assert_not_fetched_again(voyage: Voyage, done: set[str]) -> None:
    asked = voyage.server.stats().requests_by_path
    again = [e.path for e in voyage.expected if e.name.partition("/")[0] in done and e.path in asked]
    assert again == [], "an item that was done was downloaded again"


@pytest.mark.torture(45)
def test_ctrl_c_once_drains_and_saves(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=4, ttfb=0.02)
    events = voyage.root / "events.jsonl"
    process = voyage.start("--events", str(events))
    wait_for_done(voyage, process, 5)
    process.send_signal(signal.SIGINT)
    text = end(process)
    assert process.returncode == 130, text
    assert "saved" in text
    (stopping,) = [
        event["data"]["message"]
        for event in map(json.loads, events.read_text("utf-8").splitlines())
        if event["kind"] == "run.stopping"
    ]
    assert stopping == "Finishing current transfers; press Ctrl-C again to stop at once."
    assert f"stopping: {stopping}" in text
    assert voyage.damaged() == []
    done = len(voyage.done())
    assert 5 <= done < 60
    again = voyage.run()
    assert (again.returncode, voyage.wrong(), voyage.server.stats().logins) == (0, [], 1)
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(45)
def test_ctrl_c_twice_ends_at_once(set_sail: SetSail) -> None:
    voyage = set_sail(items=8, lease_mode="revoke", max_workers=4, size=400_000, rate=20_000)
    process = voyage.start()
    while voyage.server.stats().accepted < 4:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "stopping" in line:
            break
    assert "stopping: Finishing current transfers; press Ctrl-C again to stop at once." in line
    assert process.poll() is None, "the first Ctrl-C lets transfers end"
    process.send_signal(signal.SIGINT)
    text = end(process)
    assert process.returncode == 130, text
    assert "Traceback" not in text
    assert voyage.damaged() == []
    voyage.server.change(rate=0)
    assert voyage.run().returncode == 0
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(45)
def test_a_run_that_finished_in_spite_of_ctrl_c_has_succeeded(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, lease_mode="revoke", max_workers=2, size=100_000, rate=40_000)
    process = voyage.start("--quiet")
    while process.poll() is None and voyage.server.stats().active < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text = end(process)
    assert (process.returncode, text, voyage.wrong()) == (0, "", [])


@pytest.mark.torture(46)
def test_sigterm_is_clean(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=4, ttfb=0.02)
    process = voyage.start()
    wait_for_done(voyage, process, 3)
    process.terminate()
    text = end(process)
    assert (process.returncode, voyage.damaged()) == (143, []), text
    assert voyage.run().returncode == 0
    assert (voyage.wrong(), voyage.server.stats().logins) == ([], 1)


@pytest.mark.torture(81)
@pytest.mark.parametrize(
    ("strategy", "number"),
    [
        ("threads", signal.SIGINT),
        ("threads", signal.SIGTERM),
        ("multiprocess", signal.SIGTERM),
        ("multiprocess", signal.SIGKILL),
    ],
)
def test_workers_that_wait_for_their_turn_send_nothing_after_the_end(
    set_sail: SetSail, strategy: str, number: signal.Signals
) -> None:
    """One request holds the session for seconds, and seven wait for it."""
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=8, strategy=strategy, size=300)
    server = voyage.server
    server.change(faults=[Fault("late", seconds=3, path="/files/")])
    process = voyage.start("--quiet")
    while process.poll() is None and server.stats().accepted < 2:  # the page behind the login, and a file
        time.sleep(0.02)
    below = processes.descendants(process.pid)
    process.send_signal(number)
    before = server.stats().requests
    end(process)
    assert processes.gone(below)
    assert server.stats().requests == before, "a worker that was waiting sent its request all the same"
    server.change(faults=[])
    again = voyage.run("--quiet")
    assert (again.returncode, voyage.wrong(), server.stats().replaced_tokens_sent) == (0, [], 0), again.stderr


@pytest.mark.torture(62)
def test_two_terminals_one_directory(set_sail: SetSail) -> None:
    voyage = set_sail(items=500, lease_mode="revoke", max_workers=4, size=3000)
    both = [voyage.start(), voyage.start()]
    texts = [end(process) for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert max(stats.bodies_completed[e.path] for e in voyage.expected) == 1, "an item was downloaded twice"
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


def test_items_of_a_dead_run_are_taken_over(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=4, ttfb=0.05)
    process = voyage.start()
    wait_for_done(voyage, process, 4)
    process.kill()
    end(process)
    ledger = Ledger(voyage.library, read_only=True)
    assert ledger.counts().get("active", 0) > 0
    ledger.close()
    assert voyage.run().returncode == 0
    assert voyage.wrong() == []


def test_a_staged_file_that_was_damaged_is_fetched_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, resources_per_item=2, max_retries=0)
    server, path = voyage.server, voyage.expected[1].path
    server.change(faults=[Fault("status", status=404, path=path)])
    assert voyage.run().returncode == 1
    (staged,) = (voyage.library / ".argosy" / "staging").glob("*-0-*")
    staged.write_bytes(b"x" * voyage.expected[0].size)
    server.change(faults=[])
    server.reset_stats()
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])
    assert server.stats().accepted == 2


def test_a_whole_staged_file_is_not_fetched_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, resources_per_item=2, max_retries=0)
    server = voyage.server
    server.change(faults=[Fault("status", status=404, path=voyage.expected[1].path)])
    assert voyage.run().returncode == 1
    server.change(faults=[])
    server.reset_stats()
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])
    assert server.stats().accepted == 1
