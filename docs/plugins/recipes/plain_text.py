"""Converts after the download: a text file beside each HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import argosy
from argosy.errors import TransferError


class PlainText(argosy.Output):
    """Writes the text of each HTML page, and leaves other files alone."""

    name = "plain-text"
    summary = "The text of each HTML page"

    def produce(self, item: argosy.StagedItem, scratch: Path) -> Iterator[argosy.Product]:
        """Convert into the scratch folder, one file after the other."""
        for number, (name, file) in enumerate(zip(item.item.names(), item.files, strict=True)):
            if not name.endswith((".html", ".htm")):
                continue
            try:
                page = file.path.read_text("utf-8")
            except UnicodeDecodeError:
                # this item fails, and says why; the others go on
                raise TransferError(f"{name} is not UTF-8 text.", kind="encoding") from None
            text = _Text()
            text.feed(page)
            target = scratch / f"{number}.txt"
            target.write_text("".join(text.pieces), "utf-8")
            yield argosy.Product(f"{name.rpartition('.')[0]}.txt", target)


class _Text(HTMLParser):
    """Collects the text between the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        """Take a piece of text."""
        self.pieces.append(data)


@argosy.hookimpl
def argosy_output() -> type[argosy.Output]:
    """Register the output."""
    return PlainText
