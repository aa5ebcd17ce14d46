"""What a benchmark gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: A figure, a word, or None for what could not be measured.
Cell = str | int | float | None


@dataclass
class Table:
    """Some figures that belong together.

    Parameters
    ----------
    title
        What they are of.
    rows
        One dictionary each, with the same keys in the same order; a key says the unit.
    notes
        What to know of them: what was aimed at, what was left out and why.
    """

    title: str
    rows: list[dict[str, Cell]]
    notes: list[str] = field(default_factory=list)

    def render(self) -> str:
        """Return it as Markdown, so that it can stand in a document as it is."""
        lines = [f"**{self.title}**", ""]
        if self.rows:
            cells = [list(self.rows[0]), *([_shown(value) for value in row.values()] for row in self.rows)]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            padded = [
                "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
                for row in cells
            ]
            rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
            lines += [padded[0], rule, *padded[1:], ""]
        return "\n".join([*lines, *self.notes]).rstrip()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"title": self.title, "rows": self.rows, "notes": self.notes}


def _shown(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else value
