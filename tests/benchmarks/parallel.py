"""How much faster many workers are on one session: ``PYTHONPATH=tests python tests/benchmarks/parallel.py``.

A strict library server in a process of its own (20 ms to the first byte, 1 MB at 2 MB/s for each connection),
one session in a json-file store. The bound is what no client can beat: the sum of the header times on one
session, or the share of each worker, whichever is longer. All figures come from one run, so compare ratios.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import argosy
from argosy.testing import LibraryServer
from voyage import set_out

TTFB = 0.02
SIZE = 1_000_000
RATE = 2_000_000


def measure(workers: int, items: int) -> dict[str, float]:
    """Return the figures of one download."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LibraryServer(discipline="strict", ttfb=TTFB, rate=RATE) as server,
    ):
        voyage = set_out(Path(folder), server, items=items, size=SIZE, max_workers=workers)
        report = argosy.download(voyage.file)
        stats = server.stats()
    assert report.counts.done == items
    one = TTFB + SIZE / RATE
    bound = max(items * TTFB, one * -(-items // workers))
    return {
        "workers": workers,
        "items": items,
        "seconds": report.seconds,
        "per_item": report.seconds / items,
        "bound": bound,
        "efficiency": bound / report.seconds,
        "refusals": stats.refused,
        "logins": stats.logins,
    }


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = [measure(workers, 16 * max(workers // 2, 1)) for workers in (1, 4, 8, 16, 32)]
    print("workers  items  seconds  speed-up  of bound  refusals  logins")
    for row in rows:
        speed_up = rows[0]["per_item"] / row["per_item"]
        print(
            f"{row['workers']:7.0f}  {row['items']:5.0f}  {row['seconds']:7.2f}  {speed_up:7.2f}x"
            f"  {row['efficiency']:8.0%}  {row['refusals']:8.0f}  {row['logins']:6.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
