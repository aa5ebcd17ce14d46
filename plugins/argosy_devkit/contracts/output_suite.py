"""The equipment of the suite for outputs: staged items, some of them odd, and their folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from argosy.errors import TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, Resource, StagedFile, StagedItem, Verification
from argosy_devkit.contracts.plugin_suite import PluginSuite, make_plugin
from argosy_devkit.contracts.promises import relying_on

PRODUCE = "argosy.Output.produce (docs/plugins/contracts.md)"
_TEXT = "Of Looms and Tables.\n" * 40
#: The default contents of items.
CONTENTS: Mapping[str, bytes] = MappingProxyType(
    {
        "page.html": f"<!DOCTYPE html><title>One</title><h1>One</h1><p>{_TEXT}</p>".encode(),
        "parts/second.html": f"<!DOCTYPE html><title>Two</title><h1>Two</h1><p>{_TEXT}</p>".encode(),
        "notes.txt": _TEXT.encode(),
        "loom.bin": bytes(range(256)) * 20,
    }
)

#: Ids and titles from sources: any text.
ODD = (
    ("b1", "Of Looms and Tables"),
    ("b2", "Of Looms and Tables"),
    ("https://library.example/books?id=7&token=abcdef#c1", "A title\nof two lines"),
    ("../../outside", "../outside"),
    ("/absolute", "/absolute"),
    ("книга №1", "Книга \U0001f4d6 \u202e"),
    ("x" * 400, "long " * 200),
    ("CON", "NUL.txt"),
    (".argosy", ""),
    (" b1 ", " "),
    ("a\tb\x1b[31m", "<b>&amp;</b>"),
)


@dataclass(frozen=True)
class Bench:
    """An output and the folder of the test, which contains the target directory ``library``."""

    output: Output
    folder: Path

    def stage(self, number: int, item: Item, contents: Mapping[str, bytes]) -> StagedItem:
        """Stage an item's files, as a worker does."""
        place = self.folder / "library" / ".argosy" / "staging" / str(number)
        place.mkdir(parents=True, exist_ok=True)
        files = []
        for at, resource in enumerate(item.resources):
            body = contents[resource.path]
            path = place / f"{at}-staged"
            if not path.exists():
                path.write_bytes(body)
            digest = hashlib.sha256(body).hexdigest()
            files.append(StagedFile(resource, path, len(body), digest, Verification.LENGTH))
        return StagedItem(item, tuple(files))

    def scratch(self, number: int, again: str = "") -> Path:
        """Return an empty folder for an item."""
        path = self.folder / "library" / ".argosy" / "staging" / str(number) / f"output-0{again}"
        path.mkdir(parents=True)
        return path

    def produce(self, staged: StagedItem, scratch: Path) -> list[Product] | None:
        """Return the products of an item, or None if the output refuses it."""
        promise = "produce() makes products from an item, or raises a TransferError."
        with relying_on(promise, PRODUCE, f"produce() of the item {staged.item.id!r}"):
            try:
                return list(self.output.produce(staged, scratch))
            except TransferError:
                return None

    def files(self) -> dict[str, str]:
        """Return the digests of all files outside scratch folders, by path."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for root, _, names in os.walk(self.folder)
            for path in (Path(root) / name for name in names)
            if not any(part.startswith("output-0") for part in path.parts)
        }


def item(number: int, id_: str, title: str, contents: Mapping[str, bytes]) -> Item:
    """Return an item with its own folder, as a source creates it."""
    resources = tuple(Resource(f"https://library.example/{number}/{at}", path) for at, path in enumerate(contents))
    metadata: dict[str, Any] = {
        "author": ["Ada", "Charles"],
        "year": 1843,
        "language": "en",
        "nothing": None,
        "deep": {"a": [1, {"b": "c"}]},
        "ключ": "значение",
    }
    return Item(id_, title, resources, ("loom", "Sums & Tables"), metadata, folder=f"item-{number}")


class OutputSuite(PluginSuite):
    """Each test creates the output and has staged items for it."""

    plugin: ClassVar[type[Output]]
    documented: ClassVar[str] = PRODUCE

    def contents(self) -> Mapping[str, bytes]:
        """Return the files of an item by path; they must suit the output."""
        return CONTENTS

    @pytest.fixture
    def bench(self, given: Mapping[str, Any], context: PluginContext, tmp_path: Path) -> Any:
        """Create the output."""
        output = make_plugin(self.plugin, given, context)
        yield Bench(output, tmp_path)
        output.close()

    @pytest.fixture
    def items(self, bench: Bench) -> list[StagedItem]:
        """Stage items, some with odd ids and titles."""
        contents = self.contents()
        return [
            bench.stage(number, item(number, id_, title, contents), contents) for number, (id_, title) in enumerate(ODD)
        ]
