"""What syncing each file costs: `durability = "file"` and `"run"` on small files, next to curl, which syncs nothing."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import programs, tools
from benchmarks.nginx import nginx
from benchmarks.table import Cell, Table
from benchmarks.tools import CURL, TRANSPORTS, Tool

NEEDS_NGINX = True
ROUNDS = 7


def tables(quick: bool) -> Iterator[Table]:
    """Measure both on both transports."""
    ours = {
        (transport, durability): Tool(
            f"argosy, {transport}, {durability}", tools.argosy(**settings, durability=durability)
        )
        for transport, settings in TRANSPORTS.items()
        for durability in ("file", "run")
    }
    peers = [CURL] if CURL.path else []
    workload = tools.SMALL_QUICK if quick else tools.SMALL
    rows: list[dict[str, Cell]] = []
    with nginx() as server:
        used = tools.in_turn([*ours.values(), *peers], server, workload, 1 if quick else ROUNDS)
        medians = {tool: programs.median(usages) for tool, usages in used.items()}
        for tool, median in medians.items():
            key = next((key for key, one in ours.items() if one == tool), (None, None))
            row: dict[str, Cell] = {
                "tool": "argosy" if key[0] else tool.name,
                "transport": key[0],
                "durability": key[1],
            }
            row |= {"seconds": median.seconds, "CPU ms per file": median.cpu / workload.files * 1000}
            row["relative to file"] = median.seconds / medians[ours[key[0], "file"]].seconds if key[0] else None
            row["relative to curl"] = median.seconds / medians[CURL].seconds if peers else None
            if programs.can_count():
                command = tools.prepared(tool, server, workload, tools.folder())
                row["syncs"] = programs.system_calls(command, "fsync,fdatasync,sync_file_range,syncfs,sync")
            rows.append(row)
    yield Table(
        workload.title, rows, ["Whole processes with their start; medians. Syncs are counted in a run of their own."]
    )
