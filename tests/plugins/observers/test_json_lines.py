"""The lines of the observer json-lines: thinned, whole, and harmless when their reader goes away."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import StorageError
from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy_plugins.observers.json_lines import JsonLinesObserver

START = 1_700_000_000.0
MakeEvent = Callable[..., Event]


def make(base: Path, path: str = "events.jsonl") -> JsonLinesObserver:
    return JsonLinesObserver({"path": path}, PluginContext(base))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_line_is_there_at_once(tmp_path: Path, event: MakeEvent) -> None:
    observer = make(tmp_path)
    observer.on_event(event("item.started", "bü", at=START, title="T\n\udc80", resources=1))
    assert read(tmp_path / "events.jsonl") == [
        {"kind": "item.started", "at": START, "item": "bü", "data": {"title": "T\n\udc80", "resources": 1}}
    ]
    observer.close()


def test_nothing_of_the_progress_is_lost(tmp_path: Path, event: MakeEvent) -> None:
    observer = make(tmp_path)
    for hundredth in range(1000):
        for item in ("a", "b"):
            observer.on_event(event("resource.progress", item, at=START + hundredth / 100, bytes=7))
    observer.on_event(event("item.finished", "a", at=START + 10, state="done"))
    observer.close()
    found = read(tmp_path / "events.jsonl")
    for item in ("a", "b"):
        times = [e["at"] for e in found if e["kind"] == "resource.progress" and e["item"] == item]
        assert len(times) <= 21
        assert sum(e["data"].get("bytes", 0) for e in found if e["item"] == item) == 7000
    kinds = [e["kind"] for e in found if e["item"] == "a"]
    assert kinds[-2:] == ["resource.progress", "item.finished"]


def test_what_is_left_is_written_before_the_run_ends(tmp_path: Path, event: MakeEvent) -> None:
    observer = make(tmp_path)
    for _ in range(3):
        observer.on_event(event("resource.progress", "a", bytes=5))
    observer.on_event(event("run.finished"))
    observer.close()
    found = read(tmp_path / "events.jsonl")
    assert [(e["kind"], e["data"].get("bytes")) for e in found] == [
        ("resource.progress", 5),
        ("resource.progress", 10),
        ("run.finished", None),
    ]


def test_a_clock_that_is_set_back_holds_nothing_up(tmp_path: Path, event: MakeEvent) -> None:
    observer = make(tmp_path)
    for at in (START, START - 5000):
        observer.on_event(event("resource.progress", "a", at=at, bytes=5))
    assert len(read(tmp_path / "events.jsonl")) == 2
    observer.close()


def test_a_run_replaces_the_file_when_it_begins(tmp_path: Path, event: MakeEvent) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("old\n")
    observer = make(tmp_path)
    assert path.read_text() == "old\n"
    observer.on_event(event("run.started"))
    observer.close()
    assert [e["kind"] for e in read(path)] == ["run.started"]


def test_the_umask_gives_the_mode(tmp_path: Path, event: MakeEvent) -> None:
    before = os.umask(0o027)
    try:
        observer = make(tmp_path)
        observer.on_event(event("run.started"))
        observer.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) == 0o640


@pytest.mark.parametrize(("path", "words"), [("no/such/file", "does not exist"), (".", "is a folder")])
def test_a_path_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        make(tmp_path, path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_told_once(event: MakeEvent) -> None:
    observer = make(Path("/"), "/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        observer.on_event(event("run.started"))
    observer.on_event(event("run.finished"))
    observer.close()


def test_standard_output_is_ascii_and_stays_open(event: MakeEvent, capsys: pytest.CaptureFixture[str]) -> None:
    observer = JsonLinesObserver({}, PluginContext())
    observer.on_event(event("item.started", "bü\u202e", title="日本"))
    observer.close()
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["item"] == "bü\u202e"
    assert not sys.stdout.closed


BROKEN = """
import sys
from argosy.interfaces.base import PluginContext
from argosy.events import Event, EventKind
from argosy_plugins.observers.json_lines import JsonLinesObserver
observer = JsonLinesObserver({"path": sys.argv[1]}, PluginContext())
sys.stdin.readline()
for number in range(1000):
    observer.on_event(Event(EventKind.RUN_NOTICE, 0.0, None, {"message": "x" * 1000}))
observer.close()
print("end", file=sys.stderr)
"""


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_a_reader_that_goes_away_is_no_failure(path: str) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", BROKEN, path], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.stderr.read() == b"end\n"
        assert process.wait() == 0
