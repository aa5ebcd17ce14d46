"""Sources that break one promise each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import requests

from argosy.errors import SourceError
from argosy.interfaces.source import Source
from argosy.models.items import Item, Resource

URL = "https://library.example/"


class Good(Source):
    """Reads a list of URLs; items with a star behind their URL get their resources later."""

    name = "good"
    summary = "A list of URLs"
    options_schema = {
        "type": "object",
        "properties": {"path": {"type": "string", "default": "list.txt"}},
    }

    def items(self, http: requests.Session) -> Iterator[Item]:
        with self.context.path(self.options["path"]).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                url, star, _ = line.strip().partition("*")
                if not url.startswith("https://"):
                    raise SourceError(f"{line!r} is no URL.", hint="Write https:// in front.")
                resources = () if star else (self.resource(number, url),)
                yield self.item(number, Item(url, f"Item {number}", resources))

    def item(self, number: int, item: Item) -> Item:
        return item

    def resource(self, number: int, url: str) -> Resource:
        return Resource(url, f"{number}.bin")

    def expand(self, item: Item, session: requests.Session) -> Item:
        return replace(item, resources=(Resource(item.id, f"late-{item.title}.bin"),))


class ReturnsAList(Good):
    """Builds a list."""

    def items(self, http: requests.Session) -> Any:
        return list(super().items(http))


class YieldsTexts(Good):
    """Yields URLs where items are wanted."""

    def item(self, number: int, item: Item) -> Any:
        return item.id


class HasOneId(Good):
    """Gives all items one id."""

    def item(self, number: int, item: Item) -> Item:
        return replace(item, id="item")


class KeepsObjects(Good):
    """Has something in the metadata that is no JSON."""

    def item(self, number: int, item: Item) -> Item:
        return replace(item, metadata={"when": object()})


class KeepsTuples(Good):
    """Has something in the metadata that comes back as something else."""

    def item(self, number: int, item: Item) -> Item:
        return replace(item, metadata={1: "one"})  # type: ignore[dict-item]  # that is the mistake


class GivesFileUrls(Good):
    """Has URLs that cannot be fetched."""

    def resource(self, number: int, url: str) -> Resource:
        return Resource(f"file:///{number}", f"{number}.bin")


class KnowsOddDigests(Good):
    """Promises an unknown digest."""

    def resource(self, number: int, url: str) -> Resource:
        return Resource(url, f"{number}.bin", digests={"crc32": "00"})


class LeadsOut(Good):
    """Asks for names that lead out of the target directory."""

    def resource(self, number: int, url: str) -> Resource:
        return Resource(url, f"../{number}.bin")


class WantsOneName(Good):
    """Asks for one name again and again."""

    def resource(self, number: int, url: str) -> Resource:
        return Resource(url, "file.bin")


class NumbersItsLooks(Good):
    """Has ids that differ from one look to the next."""

    looks: ClassVar[Any] = itertools.count()

    def items(self, http: requests.Session) -> Iterator[Item]:
        look = next(self.looks)
        for item in super().items(http):
            yield replace(item, id=f"{item.id}#{look}")


class LeavesItsFileOpen(Good):
    """Keeps the file open where it is not read to the end."""

    kept: ClassVar[list[Any]] = []

    def items(self, http: requests.Session) -> Iterator[Item]:
        self.kept.append(self.context.path(self.options["path"]).open(encoding="utf-8"))
        yield from super().items(http)


class WritesNotes(Good):
    """Writes into the target directory."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        (self.context.directory / "notes.txt").write_text("read", "utf-8")
        yield from super().items(http)


class RemembersItems(Good):
    """Can expand only what it has yielded itself."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        self.seen: dict[str, Item] = {}
        for item in super().items(http):
            self.seen[item.id] = item
            yield item

    def expand(self, item: Item, session: requests.Session) -> Item:
        return super().expand(self.seen[item.id], session)


class MixesUpItems(Good):
    """Expands an item to another one."""

    def expand(self, item: Item, session: requests.Session) -> Item:
        return replace(super().expand(item, session), id="another")


class RaisesAnything(Good):
    """Raises whatever comes up where its list is not right."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        try:
            yield from super().items(http)
        except SourceError as error:
            raise ValueError(error.message) from error


class SaysNothingOfWhatToDo(Good):
    """Raises the right error, with nothing in it."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        try:
            yield from super().items(http)
        except SourceError:
            raise SourceError("Not valid.") from None


class ReadsOtherwiseInARun(Good):
    """Leaves items out where they are read in their own folder."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        from pathlib import Path

        for item in super().items(http):
            if Path.cwd() != self.context.base:
                yield item
                continue
            return


class AsksUnannounced(Good):
    """Sends a request without declaring it."""

    def items(self, http: requests.Session) -> Iterator[Item]:
        http.get(URL)
        yield from super().items(http)


class IsNotLetIn(Good):
    """Asks a service that wants to know who asks."""

    def expand(self, item: Item, session: requests.Session) -> Item:
        response = requests.Response()
        response.status_code, response.url = 401, item.id
        response.raise_for_status()
        return item
