"""``argosy plan`` on the events of real runs."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import warm
from voyage import Voyage

SetSail = Callable[..., Voyage]


def argosy(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return warm.run(*map(str, words))


@pytest.fixture
def events(set_sail: SetSail, tmp_path: Path) -> list[Path]:
    """Write the events of a serial run, and of one with four workers."""
    voyage = set_sail(items=24, lease_mode="revoke", size=3000, ttfb=0.005)
    files = []
    for workers in (1, 4):
        files.append(tmp_path / f"{workers}.jsonl")
        voyage.config |= {"max_workers": workers, "directory": f"library-{workers}"}
        done = argosy("download", voyage.file, "-q", "--events", files[-1])
        assert done.returncode == 0, done.stderr
    return files


def test_runs_are_planned_from_measured_ones(events: list[Path]) -> None:
    done = argosy("plan", *events, "--items", "1000000")
    assert done.returncode == 0, done.stderr
    assert "measured   48 requests of 3.0 kB: headers" in done.stdout
    assert "1,000,000 requests" in done.stdout
    assert "One session feeds" in done.stdout
    found = json.loads(argosy("plan", *events, "--workers", "1,2", "--sessions", "1", "--json").stdout)
    assert [(run["workers"], run["sessions"]) for run in found["runs"]] == [(1, 1), (2, 1)]
    assert found["measured"]["headers"] >= 0.005
    assert found["measured"]["sizes"] == 3000


def test_what_is_no_event_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"kind": "run.started"}\n', "utf-8")
    done = argosy("plan", wrong)
    assert (done.returncode, f"{wrong}:1 is not an event" in done.stderr) == (4, True)
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert "nothing was measured" in argosy("plan", empty).stderr
    assert "Cannot read the events" in argosy("plan", tmp_path / "none.jsonl").stderr


def test_the_line_that_a_killed_run_left_half_is_left_out(events: list[Path]) -> None:
    text = events[0].read_text("utf-8")
    events[0].write_text(text[: text.rindex('"kind": "run.finished"')], "utf-8")
    assert argosy("plan", *events).returncode == 0


def test_a_configuration_is_measured_by_downloading_some_of_it(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", size=3000, ttfb=0.005)
    done = argosy("plan", voyage.file, "--limit", "16")
    assert done.returncode == 0, done.stderr
    assert "Downloading up to 16 items" in done.stderr
    assert "measured   16 requests of" in done.stdout
    assert "14 requests" in done.stdout
    assert "The configuration as it is (4 workers with 1 session)" in done.stdout
    assert "One session feeds" in done.stdout
    assert (len(voyage.done()), voyage.damaged()) == (16, [])
    found = json.loads(argosy("plan", voyage.file, "--workers", "2", "--items", "1000", "--json").stdout)
    assert (found["requests"], found["configured"]["workers"], found["measured"]["requests"]) == (1000, 4, 14)
    assert voyage.wrong() == []
    again = argosy("plan", voyage.file)
    assert (again.returncode, again.stdout, "all items are done" in again.stderr) == (0, "", True)
    assert voyage.server.stats().logins == 1


def test_a_service_that_keeps_its_token_needs_no_sessions(set_sail: SetSail) -> None:
    voyage = set_sail(items=50, lease_mode="open", size=3000)
    done = argosy("plan", voyage.file, "--limit", "40")
    assert "No request waits for a session" in done.stdout, done.stderr


def test_a_single_item_is_measured(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, size=3000, sessions=3)
    done = argosy("plan", voyage.file)
    assert "measured   1 request of" in done.stdout, done.stderr
    assert "figures are rough" in done.stdout
    assert "Nothing is left to download" in done.stdout


def test_failures_are_not_measured(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000)
    text = (voyage.root / "books.jsonl").read_text("utf-8")
    (voyage.root / "books.jsonl").write_text(text.replace("/files/", "/nothing/"), "utf-8")
    done = argosy("plan", voyage.file)
    assert (done.returncode, "2 items failed" in done.stderr, "argosy status" in done.stderr) == (4, True, True)


def test_an_interrupt_while_measuring_loses_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", size=3000, ttfb=0.05)
    command = [sys.executable, "-m", "argosy", "plan", str(voyage.file)]
    restore = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=restore) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "login" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, "the session and all finished work are saved" in rest) == (130, True), rest
    assert argosy("download", voyage.file, "-q").returncode == 0
    assert (voyage.wrong(), voyage.server.stats().logins) == ([], 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["argosy.toml", "run.jsonl"], "Give one configuration"),
        (["run.jsonl", "--limit", "3"], "--limit and --plugin are for a configuration"),
        (["none.toml"], "Cannot read the configuration"),
        (["none.toml", "--workers", "4,x"], "Give whole numbers"),
        ([], "Missing argument"),
    ],
)
def test_wrong_arguments_are_explained(words: list[str], message: str) -> None:
    done = argosy("plan", *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
