"""An output for argosy: a CSV table about each item, with its files, their sizes and digests."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import argosy
from argosy.toolkit.names import safe_part


class ExampleOutput(argosy.Output):
    """Writes one table per item."""

    name = "example"
    summary = "A CSV table about each item: its files, their sizes and digests"
    options_schema = {
        "type": "object",
        "properties": {
            "folder": {
                "type": "string",
                "minLength": 1,
                "default": "example",
                "description": "The folder of the tables, below the target directory.",
            }
        },
    }

    def produce(self, item: argosy.StagedItem, scratch: Path) -> Iterator[argosy.Product]:
        """Write the table into the scratch folder, and return it with its final name."""
        table = scratch / "table.csv"
        with table.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["path", "bytes", "sha256"])
            for file in item.files:
                writer.writerow([file.resource.path, file.size, file.sha256])
        # ids may be any text: safe_part returns a safe name that no other id has
        yield argosy.Product(f"{self.options['folder']}/{safe_part(item.item.id, limit=200)}.csv", table)


@argosy.hookimpl
def argosy_output() -> type[argosy.Output]:
    """Register the output."""
    return ExampleOutput
