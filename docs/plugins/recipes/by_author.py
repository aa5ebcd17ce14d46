"""Names files AUTHOR/TITLE, with the item's id because titles are not unique."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import argosy
from argosy.toolkit.names import safe_part


class ByAuthor(argosy.Output):
    """Puts each file below a folder for its author."""

    name = "by-author"
    summary = "Files called AUTHOR/TITLE - ID/NAME"

    def produce(self, item: argosy.StagedItem, scratch: Path) -> Iterator[argosy.Product]:
        """Ask for another name for each staged file; nothing is copied."""
        author = item.item.metadata.get("author", "unknown")
        if isinstance(author, list):
            author = ", ".join(map(str, author))
        folder = safe_part(str(author), limit=100)
        title = safe_part(f"{item.item.title} - {item.item.id}", limit=200)
        for file in item.files:
            inner = "/".join(safe_part(part) for part in PurePosixPath(file.resource.path).parts)
            yield argosy.Product(f"{folder}/{title}/{inner}", file.path)


@argosy.hookimpl
def argosy_output() -> type[argosy.Output]:
    """Register the output."""
    return ByAuthor
