"""What 1,000, 10,000 and 100,000 tiny items cost: CPU and memory for each, and a rerun with everything done.

A process of its own downloads them from nginx, and looks at its memory after each thousand.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import programs
from benchmarks.machine import memory_now
from benchmarks.nginx import TINY, TINY_BODY, Nginx, nginx
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import TRANSPORTS

NEEDS_NGINX = True
WORKERS = 16
SIZES = (1_000, 10_000, 100_000)
QUICK = (100, 400)


def watch(folder: str, first: int) -> None:
    """Download, and write down what was seen; run in a process of its own."""
    import argosy

    finished = 0
    memory: list[float] = []

    def look(event: argosy.Event) -> None:
        nonlocal finished
        if event.kind == "item.finished":
            finished += 1
            if finished % first == 0:
                memory.append(memory_now())

    begun = time.perf_counter()
    report = argosy.download(Path(folder, "argosy.json"), on_event=look)
    seen = {"memory": memory, "seconds": time.perf_counter() - begun}
    seen |= {"done": report.counts.done, "skipped": report.counts.skipped, "requests": report.requests}
    Path(folder, "seen.json").write_text(json.dumps(seen))


def run(folder: Path, first: int) -> tuple[programs.Usage, dict[str, Any]]:
    """Return what a download used, and what it saw."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from benchmarks.scaling import watch; watch({str(folder)!r}, {first})"
    used = programs.run([sys.executable, "-c", code])
    return used, json.loads((folder / "seen.json").read_text())


def measure(server: Nginx, transport: str, items: int, first: int) -> tuple[dict[str, Cell], dict[str, Cell]]:
    """Return the figures of a download, and those of the same again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (server.url(f"{TINY}f{number}") for number in range(items))
        (folder / "urls.txt").write_text("\n".join(lines) + "\n")
        source = {"use": "urls", "file": "urls.txt"}
        config = {"source": source, "directory": "library", "max_workers": WORKERS, **TRANSPORTS[transport]}
        (folder / "argosy.json").write_text(json.dumps(config))
        used, seen = run(folder, first)
        assert seen["done"] == items, seen
        assert (folder / "library" / f"f{items - 1}").read_bytes() == TINY_BODY
        again, rerun = run(folder, first)
        assert (rerun["skipped"], rerun["requests"]) == (items, 0), rerun
    row: dict[str, Cell] = {
        "transport": transport,
        "items": items,
        "seconds": used.seconds,
        "CPU ms per item": used.cpu / items * 1000,
        "peak MB": used.peak,
        "most after the first": max(seen["memory"]) / seen["memory"][0],
    }
    return row, {"transport": transport, "items": items, "seconds": rerun["seconds"], "peak MB": again.peak}


def tables(quick: bool) -> Iterator[Table]:
    """Measure downloads of growing length on both transports, and the longest again with everything done."""
    sizes = QUICK if quick else SIZES
    rows: list[dict[str, Cell]] = []
    reruns: list[dict[str, Cell]] = []
    goals: list[Goal] = []
    with nginx() as server:
        for transport in TRANSPORTS:
            ours = []
            for items in sizes:
                row, rerun = measure(server, transport, items, sizes[0])
                ours.append(row)
            rerun["us per item"] = float(rerun["seconds"] or 0) / sizes[-1] * 1e6
            reruns.append(rerun)
            growth = float(ours[-1]["most after the first"] or 0)
            compared: dict[str, Cell] = {"transport": transport, "items": f"{sizes[-1]:,} / {sizes[0]:,}"}
            for key in list(ours[0])[2:]:
                compared[key] = float(ours[-1][key] or 0) / float(ours[0][key] or 1)
            rows += [*ours, {**compared, "most after the first": growth}]
            goals.append(
                Goal(f"memory after item {sizes[-1]:,} over that after item {sizes[0]:,}, {transport}", growth, 1.1)
            )
    notes = [
        f"*Most after the first*: the largest memory of the run after item {sizes[0]:,}, over that at item {sizes[0]:,}.",
        "The last row of each transport is the ratio of the longest to the shortest run. Start-up is included.",
    ]
    yield Table(f"Files of {len(TINY_BODY)} bytes, {WORKERS} threads", rows, notes, [] if quick else goals)
    yield Table("The same again, everything done", reruns, ["Aim: 100 us per item at most."])
