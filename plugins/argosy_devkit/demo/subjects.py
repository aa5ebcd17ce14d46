"""The books and the standard library modules of each chapter."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class ChapterPlan:
    """A planned chapter: its title and its modules, as far as this Python has them."""

    title: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BookPlan:
    """A planned book."""

    id: str
    title: str
    tags: tuple[str, ...]
    chapters: tuple[ChapterPlan, ...]


def plans() -> tuple[BookPlan, ...]:
    """Return the plans of all books, from ``subjects.toml``."""
    value = tomllib.loads(files("argosy_devkit.demo").joinpath("subjects.toml").read_text("utf-8"))
    return tuple(
        BookPlan(
            id=book["id"],
            title=book["title"],
            tags=tuple(book["tags"]),
            chapters=tuple(ChapterPlan(title, tuple(modules)) for title, modules in book["chapters"].items()),
        )
        for book in value["book"]
    )
