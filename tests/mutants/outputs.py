"""Outputs that break one promise each."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from argosy.errors import TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedItem
from argosy.toolkit.names import safe_part


class Good(Output):
    """A page for each item, and its first file."""

    name = "good"
    summary = "A page for each item, and its first file"

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        return [self.page(item, scratch), Product(self.of(item, "first"), item.files[0].path)]

    def of(self, item: StagedItem, suffix: str) -> str:
        return f"pages/{safe_part(item.item.id, limit=200)}.{suffix}"

    def page(self, item: StagedItem, scratch: Path) -> Product:
        page = scratch / "page.txt"
        page.write_text(f"{item.item.title!r}\n", "utf-8")
        return Product(self.of(item, "txt"), page)


class Refuses(Good):
    """Makes nothing of anything."""

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        raise TransferError("Not for me.", kind="empty")


class TrustsIds(Good):
    """Makes a name of an id as it is."""

    def of(self, item: StagedItem, suffix: str) -> str:
        return f"pages/{item.item.id}.{suffix}"


class ReturnsPaths(Good):
    """Returns paths where Products are wanted."""

    def produce(self, item: StagedItem, scratch: Path) -> Any:
        return [product.file for product in super().produce(item, scratch)]


class SaysItMakesNothing(Good):
    """Makes files, although it says that it makes none."""

    makes_files = False


class ForgetsToWrite(Good):
    """Hands on a file that it did not write."""

    def page(self, item: StagedItem, scratch: Path) -> Product:
        return Product(self.of(item, "txt"), scratch / "page.txt")


class HandsOnAFolder(Good):
    """Hands on its scratch folder."""

    def page(self, item: StagedItem, scratch: Path) -> Product:
        return Product(self.of(item, "txt"), scratch)


class WritesInPlace(Good):
    """Writes its page to its final name."""

    def page(self, item: StagedItem, scratch: Path) -> Product:
        (self.context.directory / "page.txt").write_text("mine", "utf-8")
        return super().page(item, scratch)


class ChangesStagedFiles(Good):
    """Adds a line to the item's own file."""

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        with item.files[0].path.open("ab") as file:
            file.write(b"seen\n")
        return super().produce(item, scratch)


class NamesByTitle(Good):
    """Calls files by titles, which two items may share."""

    def of(self, item: StagedItem, suffix: str) -> str:
        return f"pages/{safe_part(item.item.title, limit=200)}.{suffix}"


class Counts(Good):
    """Numbers its pages."""

    numbers: ClassVar[Any] = itertools.count()

    def of(self, item: StagedItem, suffix: str) -> str:
        return f"{next(self.numbers)}-{super().of(item, suffix).rpartition('/')[2]}"


class TellsOtherNames(Good):
    """Tells names that it does not ask for."""

    def names(self, item: Item) -> Iterable[str]:
        return ["pages/index.html"]


class RestoresSomethingElse(Good):
    """Takes its page for the item's first file."""

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        yield files[0]


class KeepsTheItem(Good):
    """Keeps the item that it is at on itself."""

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        self.item = item
        time.sleep(0.002)
        return super().produce(self.item, scratch)


class HidesAFullDisk(Good):
    """Goes on where its page cannot be written."""

    def page(self, item: StagedItem, scratch: Path) -> Product:
        try:
            return super().page(item, scratch)
        except OSError:
            return Product(self.of(item, "txt"), scratch / "page.txt")


class BlamesTheItem(Good):
    """Takes a full disk for a fault of the item."""

    def page(self, item: StagedItem, scratch: Path) -> Product:
        try:
            return super().page(item, scratch)
        except OSError as error:
            raise TransferError("It cannot be written.", kind="disk") from error


class FailsInARun(Good):
    """Counts on a path that only tests have."""

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        if "-staged" not in item.files[0].path.name:
            raise LookupError(item.files[0].path.name)
        return super().produce(item, scratch)


# -- what all plugins promise


class HasNoSummary(Good):
    """Says nothing of itself."""

    summary = ""


class HasABrokenSchema(Good):
    """Has a type that there is not in its schema."""

    options_schema = {"type": "object", "properties": {"folder": {"type": "sting"}}}


class HasAWrongDefault(Good):
    """Has a default that its own schema refuses."""

    options_schema = {"type": "object", "properties": {"level": {"type": "integer", "default": "high"}}}


class TakesOtherOptions(Good):
    """Takes options that its schema does not have."""

    options_schema = {"type": "object", "properties": {}, "required": ["level"]}


class _Elsewhere(Good):
    """Has another name in its module."""


Nowhere = type("Nowhere", (_Elsewhere,), {"__qualname__": "no_such_name"})


class LeavesAFileOpen(Good):
    """Opens a file, and does not close it."""

    kept: ClassVar[list[Any]] = []

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.kept.append((context.directory / "log").open("w", encoding="utf-8"))


class LeavesAThread(Good):
    """Starts a thread, and does not end it."""

    over: ClassVar[threading.Event] = threading.Event()

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        threading.Thread(target=self.over.wait, daemon=True).start()


class RemembersInItsClass(Good):
    """Lists all items that any of its kind has seen on each page."""

    seen: ClassVar[dict[str, str]] = {}

    def page(self, item: StagedItem, scratch: Path) -> Product:
        self.seen[item.item.id] = item.item.title
        page = scratch / "page.txt"
        page.write_text(repr(list(self.seen.items())), "utf-8")
        return Product(self.of(item, "txt"), page)


class OnlyHere(Good):
    """Is in a module that no other process finds, such as a test file."""


OnlyHere.__module__ = "module_of_this_process"
sys.modules["module_of_this_process"] = sys.modules[__name__]


class NeedsALibrary(Good):
    """Cannot work here, and says so while it does."""

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        raise ImportError("No module named 'tables'")
