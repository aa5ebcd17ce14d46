"""Writing measured tables into `docs/performance.md`, between its markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.table import Cell, Table, grid
from benchmarks.tools import OURS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "performance.md"

#: The parts of the page that are measured: each from its marker to the common end.
SLOWER = "<!-- measured: slower than other tools -->\n"
GOALS = "<!-- measured: goals -->\n"
FIGURES = "<!-- measured: python tests/benchmarks --document -->\n"
END = "<!-- end of what was measured -->\n"


def write(machine: dict[str, str], measured: Mapping[str, Sequence[Table]]) -> None:
    """Replace the figures of the page; those of a benchmark that was not run stay."""
    page = PAGE.read_text("utf-8")
    if "peers" in measured:
        page = _replace(page, SLOWER, slower(measured["peers"]))
    page = _replace(page, GOALS, goals(_between(page, GOALS), measured))
    old = re.split(r"^### (.+)\n", _between(page, FIGURES), flags=re.MULTILINE)
    sections = {name: text.strip() for name, text in zip(old[1::2], old[2::2], strict=True) if _is_benchmark(name)}
    with_what = f"Measured with {'; '.join(f'{key} {value}' for key, value in machine.items())}."
    for name, tables in measured.items():
        sections[name] = "\n\n".join([with_what, *(table.render() for table in tables)])
    figures = "\n\n".join(f"### {name}\n\n{text}" for name, text in sorted(sections.items()))
    PAGE.write_text(_replace(page, FIGURES, figures), "utf-8")


def slower(tables: Sequence[Table]) -> str:
    """Return where a tool is faster than argosy: how many times longer argosy takes, the worst first."""
    found: list[tuple[float, dict[str, Cell]]] = []
    ours = [tool.name for tool in OURS]
    for table in tables:
        times = {str(row["tool"]): float(row["seconds"] or 0) for row in table.rows if "seconds" in row}
        for peer in times.keys() - set(ours):
            ratios = {name: times[name] / times[peer] for name in ours if name in times}
            if max(ratios.values()) > 1:
                found.append((max(ratios.values()), {"workload": table.title, "tool": peer, **ratios}))
    rows = [row for _, row in sorted(found, key=lambda one: one[0], reverse=True)]
    return "\n".join(grid(rows)) if rows else "None was faster in any of the workloads."


def goals(old: str, measured: Mapping[str, Sequence[Table]]) -> str:
    """Return all goals, with the rows of benchmarks that were not run as they were."""
    rows: dict[str, list[dict[str, Cell]]] = {}
    lines = [line.strip("| ").split(" | ") for line in old.splitlines() if line.startswith("| ")]
    for cells in lines[1:]:
        row = dict(zip(lines[0], map(str.strip, cells), strict=True))
        if _is_benchmark(str(row["benchmark"])):
            rows.setdefault(str(row["benchmark"]), []).append(dict(row))
    for name, tables in measured.items():
        rows[name] = [{"benchmark": name, **goal.cells()} for table in tables for goal in table.goals]
    return "\n".join(grid([row for _, some in sorted(rows.items()) for row in some]))


def _is_benchmark(name: str) -> bool:
    """Return whether there still is such a benchmark."""
    return (HERE / f"{name}.py").exists()


def _between(page: str, begin: str) -> str:
    return page.partition(begin)[2].partition(END)[0]


def _replace(page: str, begin: str, text: str) -> str:
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text.strip()}\n\n{END}{rest.partition(END)[2]}"
