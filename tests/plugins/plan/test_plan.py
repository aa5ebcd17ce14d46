"""``argosy plan`` on the events of real runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voyage import Voyage

SetSail = Callable[..., Voyage]


def argosy(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "argosy", *map(str, words)], capture_output=True, text=True)


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
    assert "measured   48 requests: headers" in done.stdout
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
