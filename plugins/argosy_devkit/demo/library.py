"""Books of real text, from the documentation of the running Python's standard library."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.errors import ArgosyError
from argosy_devkit.demo.docstrings import Entry, entries
from argosy_devkit.demo.pages import STYLE, Chapter, chapter_page, contents_page, section, words_in
from argosy_devkit.demo.subjects import BookPlan, ChapterPlan, plans

#: Longer chapters, in bytes, are split into parts.
_LONGEST = 56_000
#: Shorter chapters, in bytes, are left out: this Python lacks most of their modules.
_SHORTEST = 4_000


@dataclass(frozen=True, slots=True)
class Book:
    """A finished book; `files` are the paths of its contents page, style and chapters, and `id` is its folder."""

    id: str
    title: str
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    chapters: list[tuple[str, str]]
    files: tuple[str, ...]


def build_library(directory: Path) -> list[Book]:
    """Write each book into its own folder; the same Python writes the same bytes. Raise ArgosyError without sources."""
    version = platform.python_version()
    written = ((plan, _chapters(plan)) for plan in plans())
    books = [_write(directory / plan.id, plan, chapters, version) for plan, chapters in written if chapters]
    if not books:
        raise ArgosyError(
            "This Python has no source files of its standard library, from which the demo makes books.",
            hint="Run the demo with another Python, such as one from python.org.",
        )
    return books


def _write(folder: Path, plan: BookPlan, chapters: list[Chapter], version: str) -> Book:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"index.html": contents_page(plan.title, plan.tags, chapters, version), "style.css": STYLE}
    for number, chapter in enumerate(chapters):
        pages[chapter.path] = chapter_page(plan.title, chapters, number, version)
    for name, text in pages.items():
        (folder / name).write_bytes(text.encode())  # as bytes, for the same line ends everywhere
    metadata = {
        "python": version,
        "chapters": len(chapters),
        "words": sum(chapter.words for chapter in chapters),
        "license": "PSF-2.0",
    }
    listing = [(chapter.path, chapter.title) for chapter in chapters]
    return Book(plan.id, plan.title, plan.tags, metadata, listing, tuple(pages))


def _chapters(plan: BookPlan) -> list[Chapter]:
    chapters: list[Chapter] = []
    for chapter in plan.chapters:
        chapters += _parts_of(chapter, len(chapters) + 1)
    return chapters


def _parts_of(plan: ChapterPlan, number: int) -> Iterator[Chapter]:
    found = [(module, section(entry)) for module, entry in _entries(plan)]
    parts = _even_parts(found)
    slug = re.sub(r"[^a-z0-9]+", "-", plan.title.lower()).strip("-")
    for index, part in enumerate(parts):
        html = "".join(text for _, text in part)
        yield Chapter(
            path=f"{number + index:02d}-{slug}{f'-{index + 1}' if len(parts) > 1 else ''}.html",
            title=plan.title if len(parts) == 1 else f"{plan.title}, part {index + 1}",
            modules=tuple(dict.fromkeys(module for module, _ in part)),
            html=html,
            words=words_in(html),
            continues=index + 1 < len(parts),
        )


def _entries(plan: ChapterPlan) -> Iterator[tuple[str, Entry]]:
    for module in plan.modules:
        for entry in entries(module):
            yield module, entry


def _even_parts(sections: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Divide a chapter's sections into as few parts of about the same size as possible; none if it is too short."""
    total = sum(len(text.encode()) for _, text in sections)
    if total < _SHORTEST:
        return []
    count = -(-total // _LONGEST)
    parts: list[list[tuple[str, str]]] = [[] for _ in range(count)]
    done = 0
    for module, text in sections:
        size = len(text.encode())
        parts[min((done + size // 2) * count // total, count - 1)].append((module, text))
        done += size
    return [part for part in parts if part]
