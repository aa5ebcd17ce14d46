"""What a benchmark gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: A figure, a word, or None for what could not be measured.
Cell = str | int | float | None


@dataclass(frozen=True)
class Goal:
    """A figure that a benchmark wants to reach.

    Parameters
    ----------
    what
        Which figure, with its unit.
    measured
        The figure.
    limit
        What it should be at most, or at least.
    at_least
        Whether more is better.
    """

    what: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def cells(self) -> dict[str, Cell]:
        """Return it as a row of a table."""
        limit = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        return {"goal": self.what, "limit": limit, "measured": self.measured, "met": "yes" if self.met else "**no**"}


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
        What to know of them: what was left out and why.
    goals
        The goals that these figures meet or miss.
    """

    title: str
    rows: list[dict[str, Cell]]
    notes: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def render(self) -> str:
        """Return it as Markdown, so that it can stand in a document as it is."""
        goals = [
            f"Goal: {goal.what}: {cells['limit']}; measured {shown(goal.measured)}{'' if goal.met else ', **missed**'}."
            for goal, cells in ((goal, goal.cells()) for goal in self.goals)
        ]
        lines = [*self.notes, *(f"- {goal}" for goal in goals)]
        if self.notes and goals:
            lines.insert(len(self.notes), "")
        return "\n".join([f"**{self.title}**", "", *grid(self.rows), *lines]).rstrip()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        goals = [{**goal.cells(), "met": goal.met} for goal in self.goals]
        return {"title": self.title, "rows": self.rows, "notes": self.notes, "goals": goals}


def grid(rows: list[dict[str, Cell]]) -> list[str]:
    """Return rows as the lines of a Markdown table, with an empty line after it."""
    if not rows:
        return []
    cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [padded[0], rule, *padded[1:], ""]


def shown(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else value
