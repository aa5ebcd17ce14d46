"""What reading and comparing a long manifest costs, without a single request.

A manifest is read, checked and put in the ledger, everything is marked as done there, and it is read again, as a
rerun with nothing to do would. A process of its own does it, so that the peak of its memory is that of the work.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from argosy.config.load import load
from argosy.config.location import open_storage
from argosy.engine.outputs import Outputs
from argosy.engine.plan import Plan
from argosy.interfaces.base import PluginContext
from argosy.interfaces.source import Source
from argosy.plugins.manager import PluginManager
from argosy.state.ledger import PRIVATE, Ledger
from argosy.toolkit.stop import Stop
from benchmarks.machine import memory_peak
from benchmarks.table import Cell, Table


def plan(folder: Path, name: str, items: int) -> dict[str, Cell]:
    """Read the manifest, compare it with the ledger, and return what that cost."""
    plugins = PluginManager()
    settings = load({"source": {"use": "manifest", "path": str(folder / "books.jsonl")}}, plugins)
    source = plugins.make(Source, settings.source or {}, PluginContext())
    ledger = Ledger(folder)
    ledger.storage = open_storage(None, plugins, PluginContext(directory=folder))
    begun = time.perf_counter()
    outputs = Outputs(settings.output, plugins, PluginContext())
    made = Plan(settings, source, ledger, outputs)
    made.read(Stop(), None, lambda *_: None)
    planned = made.compare()
    cost = (time.perf_counter() - begun) / items
    ledger.db.execute("UPDATE items SET state = 'done', item = NULL, outputs = '[\"files\"]'")
    made.close()
    ledger.close()
    return {"run": name, "to do": planned.to_do, "us an item": cost * 1e6, "peak MB": memory_peak()}


def measure(items: int) -> list[dict[str, Cell]]:
    """Return the figures of a first run and of a rerun."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PRIVATE).mkdir()
        with (folder / "books.jsonl").open("w", encoding="utf-8") as file:
            for number in range(items):
                part = {"url": f"http://127.0.0.1/b{number}", "path": "a.bin", "size": 9, "sha256": "0" * 64}
                line = {"id": f"b{number}", "title": f"Book {number}", "resources": [part]}
                file.write(json.dumps(line) + "\n")
        return [plan(folder, run, items) for run in ("first", "again")]


def tables(quick: bool) -> Iterator[Table]:
    """Measure a long manifest."""
    items = 10_000 if quick else 200_000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield Table(f"A manifest of {items:,} lines", pool.apply(measure, (items,)))
