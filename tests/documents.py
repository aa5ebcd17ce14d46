"""The documents of the tree, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, and the word behind it that says how it is checked."""

    document: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return all documents."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str, document: Path | None = None) -> list[Block]:
    """Return the blocks in some languages."""
    found = (block for path in documents() if document in (None, path) for block in _blocks(path))
    return [block for block in found if block.language in languages]


def files(document: Path) -> dict[str, str]:
    """Return the files that a document shows: the blocks whose mark is a name."""
    return {block.mark: block.text for block in _blocks(document) if "." in block.mark or block.mark == "Dockerfile"}


def prose(document: Path) -> str:
    """Return a document without its blocks."""
    return _FENCE.sub("", document.read_text("utf-8"))


def _blocks(document: Path) -> Iterator[Block]:
    text = document.read_text("utf-8")
    for found in _FENCE.finditer(text):
        language, _, mark = found["info"].partition(" ")
        line = text.count("\n", 0, found.start()) + 1
        yield Block(document, line, language, mark, found["text"])
