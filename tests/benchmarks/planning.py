"""What reading and comparing a long manifest costs: ``python tests/benchmarks/planning.py``.

No request is made: a manifest is read, checked and put in the ledger, everything is marked as done there, and
it is read again, as a rerun with nothing to do would. Memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from argosy.config import load
from argosy.contracts import PluginContext
from argosy.registry import Registry
from argosy.run.ledger import PRIVATE, Ledger
from argosy.run.planning import read_plan
from argosy.run.stop import Stop


def peak() -> float:
    """Return the peak of this process's memory in MB (Linux counts in kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def plan(folder: Path, name: str, items: int) -> None:
    """Read the manifest, compare it with the ledger, and print what that cost."""
    registry = Registry.load()
    settings = load({"source": {"use": "manifest", "path": str(folder / "books.jsonl")}}, registry)
    source = registry.source(settings.source or {}, PluginContext())
    ledger = Ledger(folder)
    begun = time.perf_counter()
    made = read_plan(settings, source, ledger, notice=lambda text: None, stop=Stop(), scrub=str)
    planned = made.compare()
    cost = (time.perf_counter() - begun) / items
    print(f"{name:<9} {planned.to_do:>9,} to do {cost * 1e6:>8.0f} us an item  peak {peak():.0f} MB")
    ledger.db.execute("UPDATE items SET state = 'done', item = NULL")
    made.close()
    ledger.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200_000)
    items = parser.parse_args().items
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PRIVATE).mkdir()
        with (folder / "books.jsonl").open("w", encoding="utf-8") as file:
            for number in range(items):
                part = {"url": f"http://127.0.0.1/b{number}", "path": "a.bin", "size": 9, "sha256": "0" * 64}
                line = {"id": f"b{number}", "title": f"Book {number}", "resources": [part]}
                file.write(json.dumps(line) + "\n")
        for run in ("first run", "rerun"):
            plan(folder, run, items)


if __name__ == "__main__":
    main()
