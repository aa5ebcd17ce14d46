"""Several processes next to threads, where Python is the limit: small files, no login."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import programs, tools
from benchmarks.nginx import nginx
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import TRANSPORTS, Tool

NEEDS_NGINX = True
ROUNDS = 7
PROCESSES = 2


def tables(quick: bool) -> Iterator[Table]:
    """Measure both strategies on both transports."""
    strategy = {"use": "multiprocess", "processes": PROCESSES}
    workload = tools.SMALL_QUICK if quick else tools.SMALL
    rows: list[dict[str, Cell]] = []
    goals = []
    with nginx() as server:
        for transport, settings in TRANSPORTS.items():
            threads = Tool("threads", tools.argosy(**settings))
            several = Tool(f"{PROCESSES} processes", tools.argosy(**settings, strategy=strategy))
            used = tools.in_turn([threads, several], server, workload, 1 if quick else ROUNDS)
            medians = {tool: programs.median(usages) for tool, usages in used.items()}
            for tool, median in medians.items():
                row: dict[str, Cell] = {"transport": transport, "strategy": tool.name, "seconds": median.seconds}
                row |= {"CPU s": median.cpu, "speed-up": medians[threads].seconds / median.seconds}
                rows.append(row)
            what = f"{workload.title}: {PROCESSES} processes, transport {transport}, speed-up over threads"
            goals.append(Goal(what, medians[threads].seconds / medians[several].seconds, 1.5, at_least=True))
    notes = ["Whole processes with their start; medians. nginx needs a processor, too."]
    yield Table(workload.title, rows, notes, [] if quick else goals)
