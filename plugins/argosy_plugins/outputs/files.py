"""The output that keeps an item's resources as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import argosy
from argosy.contracts import Output
from argosy.model import Product, StagedItem
from argosy.names import safe_part


class FilesOutput(Output):
    """Keeps every resource as a file of its own, under the name its item asks for."""

    name = "files"
    summary = "Every resource as a file of its own"
    options_schema = {
        "type": "object",
        "properties": {
            "sidecar": {
                "type": "boolean",
                "default": False,
                "description": "Also write what is known of each item to metadata.json in its folder "
                "(ID.metadata.json for an item without a folder).",
            }
        },
    }

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Yield the staged files under the names their item asks for."""
        for name, file in zip(item.item.names(), item.files, strict=True):
            yield Product(name, file.path)
        if self.options.get("sidecar"):
            folder = item.item.folder
            name = f"{folder}/metadata.json" if folder else f"{safe_part(item.item.id)}.metadata.json"
            path = scratch / "metadata.json"
            known = {
                "id": item.item.id,
                "title": item.item.title,
                "tags": list(item.item.tags),
                "metadata": dict(item.item.metadata),
                "files": [
                    {"path": file.resource.path, "size": file.size, "sha256": file.sha256}
                    for file in item.files
                ],
            }
            path.write_text(json.dumps(known, ensure_ascii=False, indent=2) + "\n", "utf-8")
            yield Product(name, path)


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return FilesOutput
