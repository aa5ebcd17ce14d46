"""Outputs over all items that break one promise each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from argosy.interfaces.output import CollectingOutput
from argosy.models.items import FinishedItem, Product


class Good(CollectingOutput):
    """A list of titles."""

    name = "good"
    summary = "A list of titles"
    file: ClassVar[str] = "titles.txt"

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        return [self.page(scratch, (repr(one.item.title) for one in items))]

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        page = scratch / "page.txt"
        page.write_text("\n".join(lines), "utf-8")
        return Product(self.file, page)


class MakesNothing(Good):
    """Makes no file."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        return []


class LeadsOut(Good):
    """Wants a name above the directory."""

    file = "../titles.txt"


class CollectsPaths(Good):
    """Returns paths where Products are wanted."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Any:
        return [product.file for product in super().collect(items, scratch)]


class HandsOnItsFolder(Good):
    """Hands on its scratch folder."""

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        return Product(self.file, scratch)


class NumbersItsPages(Good):
    """Makes a page for each three items."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        (first,) = super().collect(items, scratch)
        count = first.file.read_text("utf-8").count("\n") // 3
        return [first, *(Product(f"page-{number}.txt", first.file) for number in range(count))]


class CountsFirst(Good):
    """Reads the items to count them, and once more to write."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        count = sum(1 for _ in items)
        return [self.page(scratch, [str(count), *(one.item.title for one in items)])]


class RemembersItems(Good):
    """Adds what it is given to what it had."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        seen = vars(self).setdefault("seen", {})
        seen |= {one.item.id: repr(one.item.title) for one in items}
        return [self.page(scratch, seen.values())]


class WritesInPlace(Good):
    """Writes its page to its final name."""

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        (self.context.directory / "copy.txt").write_text("mine", "utf-8")
        return super().page(scratch, lines)


class HidesAFullDisk(Good):
    """Goes on where its page cannot be written."""

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        try:
            return super().page(scratch, lines)
        except OSError:
            return Product(self.file, scratch / "page.txt")


class FailsInARun(Good):
    """Counts on a folder that only tests have."""

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        if scratch.name != "collecting":
            raise LookupError(scratch.name)
        return super().collect(items, scratch)


class AddsToItsOldFile(Good):
    """Writes what is new behind what is in the target directory."""

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        product = super().page(scratch, lines)
        old = self.context.directory / self.file
        if old.exists():
            product.file.write_text(old.read_text("utf-8") + product.file.read_text("utf-8"), "utf-8")
        return product


class ChangesItsOldFile(Good):
    """Writes into its file of the last run."""

    def page(self, scratch: Path, lines: Iterable[str]) -> Product:
        old = self.context.directory / self.file
        if old.exists():
            old.write_text("being made anew", "utf-8")
        return super().page(scratch, lines)


class KeepsItemsInItsClass(Good):
    """Adds what it is given to what any of its kind had, from the first test on."""

    seen: ClassVar[dict[str, str]] = {}

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        self.seen.update({one.item.id: repr(one.item.title) for one in items})
        return [self.page(scratch, self.seen.values())]
