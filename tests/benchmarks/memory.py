"""What 100,000 tiny items need: memory while they are downloaded, time for each, and what a rerun costs.

A process of its own downloads them and looks at its memory and the clock after every so many items. Then it starts
again, with everything done.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from argosy_devkit import LibraryServer
from benchmarks.machine import memory_now, memory_peak
from benchmarks.table import Cell, Table

WORKERS = 8


def watch(config: str, every: int) -> None:
    """Download, and print what was seen as JSON; run in a process of its own."""
    import argosy

    seen: list[tuple[int, float, float]] = []
    finished = 0
    begun = time.perf_counter()

    def look(event: object) -> None:
        nonlocal finished
        if getattr(event, "kind", None) == "item.finished":
            finished += 1
            if finished % every == 0 or finished == 1000:
                seen.append((finished, memory_now(), time.perf_counter() - begun))

    first = argosy.download(config, on_event=look)
    peak = memory_peak()
    again = time.perf_counter()
    second = argosy.download(config)
    print(
        json.dumps(
            {
                "seen": seen,
                "peak": peak,
                "done": first.counts.done,
                "rerun": time.perf_counter() - again,
                "skipped": second.counts.skipped,
                "requests": second.requests,
            }
        )
    )


def tables(quick: bool) -> Iterator[Table]:
    """Measure the download, and the rerun."""
    items = 5_000 if quick else 100_000
    with tempfile.TemporaryDirectory() as name, LibraryServer(lease_mode="open") as server:
        folder = Path(name)
        lines = (server.url_for(f"/files/f{number}?size=10") for number in range(items))
        (folder / "urls.txt").write_text("\n".join(lines) + "\n")
        config = {
            "source": {"use": "urls", "file": "urls.txt"},
            "directory": "library",
            "max_workers": WORKERS,
        }
        (folder / "argosy.json").write_text(json.dumps(config))
        command = f"from benchmarks.memory import watch; watch({str(folder / 'argosy.json')!r}, {items // 10})"
        child = subprocess.run(
            [sys.executable, "-c", command],
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
    found = json.loads(child.stdout)
    assert (found["done"], found["skipped"], found["requests"]) == (items, items, 0), found
    rows: list[dict[str, Cell]] = []
    before = (0, 0.0)
    for count, memory, seconds in found["seen"]:
        rows.append({"items": count, "MB": memory, "ms an item": (seconds - before[1]) / (count - before[0]) * 1000})
        before = count, seconds
    start = next(memory for count, memory, _ in found["seen"] if count >= 1000)
    growth = max(memory for _, memory, _ in found["seen"]) / start - 1
    peak = f"The peak was {found['peak']:.0f} MB; after item 1,000 the memory grew by {growth:.0%} at most."
    yield Table(
        f"{items:,} files of 10 bytes, {WORKERS} threads",
        rows,
        [
            peak,
            "Aim: 10 % at most, and below 150 MB. The first row has the start and the reading of the list in it.",
        ],
    )
    yield Table(
        "The same again, everything done",
        [{"items": items, "seconds": found["rerun"], "us an item": found["rerun"] / items * 1e6}],
        ["Aim: 100 us at most."],
    )
