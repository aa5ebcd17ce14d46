"""The output ``zip``: one ZIP archive per item, with the same bytes each time."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import argosy
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedItem
from argosy.toolkit.names import collision_key
from argosy_plugins.layout import Layout
from argosy_plugins.outputs._facts import facts_text

#: The time of all members: the earliest that a ZIP can have.
TIME = (1980, 1, 1, 0, 0, 0)

#: A regular file with mode 0644, in the upper half of the external attributes (APPNOTE 4.4.15).
_MODE = 0o100644 << 16
_UNIX = 3

#: Bytes to copy at a time.
_CHUNK = 1 << 20

_METHODS = {"deflate": zipfile.ZIP_DEFLATED, "store": zipfile.ZIP_STORED}


def zip_options(compression: str) -> dict[str, Any]:
    """Return the options of an archive with this default compression."""
    return {
        "type": "object",
        "properties": {
            "layout": {
                "type": "string",
                "minLength": 1,
                "default": "{folder|id}",
                "description": "The name of the archive without its suffix. Fields: {id}, {title},"
                " {tag}, {tags}, {folder}, {metadata.NAME}.",
            },
            "compression": {
                "enum": list(_METHODS),
                "default": compression,
                "description": "The compression: deflate, or store for none.",
            },
            "sidecar": {
                "type": "boolean",
                "default": False,
                "description": "Also add the facts about the item as metadata.json.",
            },
        },
    }


class ZipOutput(Output):
    """Writes one archive per item: its files sorted by name, all with the same time and mode."""

    name = "zip"
    summary = "One ZIP archive per item"
    options_schema = zip_options("deflate")
    #: The suffix of an archive.
    suffix: ClassVar[str] = ".zip"

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._layout = Layout(options["layout"], of_files=False)
        self._method = _METHODS[options["compression"]]

    def names(self, item: Item) -> Iterator[str]:
        """Yield the name of the archive."""
        yield self._layout.name(item, ending=self.suffix)

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Write the archive."""
        path = scratch / f"item{self.suffix}"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(item.files, key=lambda file: file.resource.path):
                info = self._info(file.resource.path, file.size)
                with file.path.open("rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
            if self.options["sidecar"]:
                taken = {collision_key(file.resource.path) for file in item.files}
                name = "metadata.json" if "metadata.json" not in taken else "argosy.metadata.json"
                text = facts_text(item).encode("utf-8", "backslashreplace")
                archive.writestr(self._info(name, len(text)), text)
        yield Product(self._layout.name(item.item, ending=self.suffix), path)

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        """Yield the resources in the archive."""
        with zipfile.ZipFile(files[0]) as archive:
            there = set(archive.namelist())
            for number, resource in enumerate(item.resources):
                path = scratch / str(number)
                if resource.path in there:
                    with archive.open(resource.path) as source, path.open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
                yield path if resource.path in there else None

    def _info(self, name: str, size: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, TIME)
        info.compress_type = self._method
        info.create_system = _UNIX
        info.external_attr = _MODE
        info.file_size = size  # knowing the size, it only uses Zip64 if needed
        return info


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return ZipOutput
