"""Writing measured tables into `docs/performance.md`, between its two markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.table import Table

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN = "<!-- measured: python tests/benchmarks --document -->\n"
END = "<!-- end of what was measured -->\n"


def write(machine: dict[str, str], measured: Mapping[str, Sequence[Table]]) -> None:
    """Replace the figures of the page; those of a benchmark that was not run stay."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    parts = re.split(r"^### (.+)\n", old, flags=re.MULTILINE)
    sections = {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    with_what = f"Measured with {'; '.join(f'{key} {value}' for key, value in machine.items())}."
    for name, tables in measured.items():
        sections[name] = "\n\n".join([with_what, *(table.render() for table in tables)])
    lines = [f"### {name}\n\n{text}" for name, text in sorted(sections.items())]
    PAGE.write_text(before + BEGIN + "\n" + "\n\n".join(lines) + "\n\n" + END + after, "utf-8")
