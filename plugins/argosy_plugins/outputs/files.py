"""The output ``files``: keeps an item's files unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedItem
from argosy.toolkit.names import safe_part
from argosy_plugins.layout import Layout
from argosy_plugins.outputs._facts import facts_text

#: The name of the sidecar in an item's own folder, and its suffix for items without one.
SIDECAR = "metadata.json"


class FilesOutput(Output):
    """Keeps each file under the name from its item or a layout."""

    name = "files"
    summary = "Every resource as a separate file"
    options_schema = {
        "type": "object",
        "properties": {
            "layout": {
                "type": "string",
                "minLength": 1,
                "default": "{folder}/{path}",
                "description": "The names of the files below the target directory, such as"
                " {tag}/{title} [{id}]/{path}. Fields: {id}, {title}, {tag} (the"
                " first), {tags}, {folder}, {metadata.NAME}, and of the file {path},"
                " {name}, {stem}, {suffix}, {number}; {tag|none} is none if there is no"
                " tag.",
            },
            "sidecar": {
                "type": ["boolean", "string"],
                "minLength": 1,
                "default": False,
                "description": "Also write the facts about each item as JSON: true for metadata.json"
                " in its folder (ID.metadata.json if it has no folder), or a layout of"
                " the name.",
            },
            "times": {
                "enum": ["server", "download"],
                "default": "server",
                "description": "The modification time of a file: the server's Last-Modified, if any,"
                " or the time of the download.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._layout = Layout(options.get("layout", "{folder}/{path}"))
        sidecar = options.get("sidecar", False)
        self._has_sidecar = self.makes_files = bool(sidecar)
        self._sidecar = Layout(sidecar, "sidecar", of_files=False) if isinstance(sidecar, str) else None
        self._served = options.get("times", "server") == "server"

    def names(self, item: Item) -> Iterator[str]:
        """Yield the names of the files, except those that a server chooses, and of the sidecar."""
        for number, resource in enumerate(item.resources, 1):
            if not resource.content_disposition:
                yield self._layout.name(item, resource.path, number)
        if self._has_sidecar:
            yield self._sidecar_name(item)

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Yield the staged files under their names, and the sidecar."""
        for number, file in enumerate(item.files, 1):
            name = self._layout.name(item.item, file.resource.path, number)
            response = file.response if self._served else None
            yield Product(name, file.path, response.modified if response is not None else None)
        if self._has_sidecar:
            path = scratch / SIDECAR
            path.write_text(facts_text(item), "utf-8", errors="backslashreplace")
            yield Product(self._sidecar_name(item.item), path)

    def _sidecar_name(self, item: Item) -> str:
        if self._sidecar is not None:
            return self._sidecar.name(item)
        folder = self._layout.folder(item)
        own = self._layout.has_own_folder(item)
        last = SIDECAR if own else f"{safe_part(item.id, limit=200)}.{SIDECAR}"
        return f"{folder}/{last}" if folder else last


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return FilesOutput
