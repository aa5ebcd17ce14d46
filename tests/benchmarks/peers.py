"""Downloads without a login, side by side with curl, aria2, wget2 and parfive.

All tools get the same files from the same nginx, in turn, in several rounds. Figures are those of whole processes, with
their start, and medians of the rounds. A tool that does not get every byte fails the benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks import programs, tools
from benchmarks.nginx import Nginx, nginx
from benchmarks.programs import Usage
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import ARGOSY, ARGOSY_CURL, ARIA2, CURL, OURS, PEERS, WGET2, Tool, Workload

NEEDS_NGINX = True

LATE = Workload(400, 100_000, 16, delay=True)
MEDIUM = Workload(100, 2_000_000, 4)
LARGE = Workload(1, 1_000_000_000, 1)

ROUNDS = 5

#: For each workload, what argosy may take at most, relative to a tool.
LIMITS: dict[Workload, list[tuple[Tool, Tool, float]]] = {
    tools.SMALL: [
        (ARGOSY, CURL, 2.5),
        (ARGOSY, ARIA2, 0.8),
        (ARGOSY_CURL, CURL, 1.3),
        (ARGOSY_CURL, WGET2, 1.0),
    ],
    LATE: [(ARGOSY, CURL, 1.5), (ARGOSY, ARIA2, 0.85), (ARGOSY_CURL, CURL, 1.25)],
    MEDIUM: [(ARGOSY, CURL, 2.2), (ARGOSY, ARIA2, 1.0), (ARGOSY_CURL, CURL, 1.8)],
    LARGE: [(ARGOSY, CURL, 1.5), (ARGOSY_CURL, CURL, 1.5)],
}

#: Milliseconds of CPU for a small file.
CPU_LIMITS = {ARGOSY: 1.5, ARGOSY_CURL: 0.9}

#: What stands for each workload when little is measured.
QUICK = {
    tools.SMALL: tools.SMALL_QUICK,
    LATE: Workload(32, 100_000, 16, delay=True),
    MEDIUM: Workload(8, 2_000_000, 4),
    LARGE: Workload(1, 20_000_000, 1),
}


def rows(workload: Workload, used: Mapping[Tool, list[Usage]]) -> list[dict[str, Cell]]:
    """Return the figures of each tool."""
    medians = {tool: programs.median(usages) for tool, usages in used.items()}
    return [
        {
            "tool": tool.name,
            "seconds": medians[tool].seconds,
            "best round": min(usage.seconds for usage in usages),
            "MB/s": workload.files * workload.size / 1e6 / medians[tool].seconds,
            "CPU s": medians[tool].cpu,
            "CPU ms per file": medians[tool].cpu / workload.files * 1000,
            "peak MB": medians[tool].peak,
            "relative to curl": relative(medians, tool, CURL),
            "relative to aria2": relative(medians, tool, ARIA2),
        }
        for tool, usages in used.items()
    ]


def relative(medians: Mapping[Tool, Usage], tool: Tool, peer: Tool) -> float | None:
    return medians[tool].seconds / medians[peer].seconds if peer in medians else None


def goals(workload: Workload, used: Mapping[Tool, list[Usage]]) -> list[Goal]:
    """Return the goals of a workload, except those that need a tool that is missing."""
    medians = {tool: programs.median(usages) for tool, usages in used.items()}
    found = [
        Goal(f"{workload.title}: {ours.name}, relative to {peer.name}", ratio, limit)
        for ours, peer, limit in LIMITS[workload]
        if (ratio := relative(medians, ours, peer)) is not None
    ]
    if workload == tools.SMALL:
        found += [
            Goal(f"{workload.title}: {tool.name}, CPU ms per file", medians[tool].cpu / workload.files * 1000, limit)
            for tool, limit in CPU_LIMITS.items()
        ]
    return found


def system_calls(server: Nginx, chosen: list[Tool], most: Workload) -> list[dict[str, Cell]]:
    """Return the system calls of each tool for one more file: the difference of a large and a small run."""
    server.make(most.files, most.size)
    less = Workload(most.files // 4, most.size, most.workers)
    found: list[dict[str, Cell]] = []
    for tool in chosen:
        counts = [
            programs.system_calls(tools.prepared(tool, server, workload, tools.folder())) for workload in (less, most)
        ]
        found.append({"tool": tool.name, "system calls per file": (counts[1] - counts[0]) / (most.files - less.files)})
    return found


def tables(quick: bool) -> Iterator[Table]:
    """Measure the tools that are installed, one workload after the other."""
    chosen = [tool for tool in (*OURS, *PEERS) if tool.path]
    with nginx() as server:
        for full in LIMITS:
            workload = QUICK[full] if quick else full
            used = tools.in_turn(chosen, server, workload, 1 if quick else ROUNDS)
            notes = [f"No client can take less than {workload.bound:.2f} s."] if workload.bound else []
            yield Table(
                workload.title, rows(workload, used), notes + tools.missing(), [] if quick else goals(full, used)
            )
        title = "System calls for one more file of 10 kB, 16 connections"
        if not programs.can_count():
            yield Table(title, [], ["Left out: strace is not installed (Debian: apt install strace)."])
            return
        counts = system_calls(server, chosen, tools.SMALL_QUICK if quick else Workload(800, 10_000, 16))
        yield Table(title, counts, ["By `strace -c -f`: the difference of a long and a short run."])
