"""An output for argosy that writes a page about each item: its files, their sizes and digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import argosy
from argosy.toolkit.names import safe_part


class Catalogue(argosy.Output):
    """Writes one text file for each item."""

    name = "catalogue"
    summary = "A page about each item: its files, their sizes and digests"
    options_schema = {
        "type": "object",
        "properties": {
            "folder": {
                "type": "string",
                "minLength": 1,
                "default": "catalogue",
                "description": "The folder of the pages, below the target directory.",
            }
        },
    }

    def produce(self, item: argosy.StagedItem, scratch: Path) -> Iterator[argosy.Product]:
        """Write the page into the scratch folder, and ask for its final name."""
        lines = [item.item.title, ""]
        lines += [f"{file.sha256}  {file.size:>12}  {file.resource.path}" for file in item.files]
        page = scratch / "page.txt"
        page.write_text("\n".join(lines) + "\n", "utf-8")
        name = safe_part(item.item.id, limit=200)
        yield argosy.Product(f"{self.options['folder']}/{name}.txt", page)


@argosy.hookimpl
def argosy_output() -> type[argosy.Output]:
    """Register the output."""
    return Catalogue
