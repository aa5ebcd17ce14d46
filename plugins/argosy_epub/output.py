"""The output that makes an EPUB of an item's chapters, images and styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import ConfigError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedItem
from argosy.toolkit.layout import Layout

_SUFFIX = ".epub"


class EpubOutput(Output):
    """Makes one EPUB 3 of each item: its chapters in their order, with what they show, and a table of contents."""

    name = "epub"
    summary = "One EPUB of each item's chapters, images and styles (needs argosy[epub])"
    options_schema = {
        "type": "object",
        "properties": {
            "layout": {
                "type": "string",
                "minLength": 1,
                "default": "{folder|id}",
                "description": "The name of the book, without its ending. Fields: {id}, {title}, {tag}, {tags}, "
                "{folder}, {metadata.NAME}.",
            },
            "cover": {
                "type": "string",
                "default": "",
                "description": "The path of the cover within each item (cover.jpg). Otherwise it is what the item's "
                "metadata calls cover, or its first image with that name.",
            },
            "language": {
                "type": "string",
                "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
                "default": "und",
                "description": "The language (BCP 47) of a book where neither its metadata nor its chapters name one.",
            },
            "headings": {
                "type": "boolean",
                "default": True,
                "description": "List the main headings of each chapter in the table of contents, too.",
            },
            "no_chapters": {
                "enum": ["fail", "skip"],
                "default": "fail",
                "description": "What becomes of an item without a chapter in HTML (a PDF alone): it fails, or this output "
                "makes nothing of it.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            import justhtml
            import tinycss2
        except ImportError as error:
            raise ConfigError(
                f"The output 'epub' needs {error.name}, which is not installed.",
                hint="Install it: pip install 'argosy[epub]'.",
            ) from None
        del justhtml, tinycss2  # what uses them is imported where it is used
        self._layout = Layout(options["layout"], of_files=False)

    def names(self, item: Item) -> Iterator[str]:
        """Yield the name of the book."""
        if self.options["no_chapters"] == "fail":  # else it may make none
            yield self._layout.name(item, ending=_SUFFIX)

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Yield the book.

        Raises
        ------
        TransferError
            If the item has nothing to read in a book.
        """
        from argosy_epub.book import has_chapters, write_book

        if not has_chapters(item):
            if self.options["no_chapters"] == "skip":
                return
            kinds = ", ".join(sorted({Path(file.resource.path).suffix or "no suffix" for file in item.files}))
            raise TransferError(
                f"No EPUB can be made of this item: it has no chapter, which is a file of HTML (it has {kinds}).",
                kind="content",
                hint='Leave the output out for such items, or set its option no_chapters to "skip".',
            )
        file = scratch / "book.epub"
        options = self.options
        made = write_book(
            item,
            file,
            scratch,
            cover=options["cover"],
            language=options["language"],
            headings=options["headings"],
        )
        for remark in made.remarks():
            self.context.notice(f"The EPUB of {item.item.title or item.item.id!r}: {remark}.")
        yield Product(self._layout.name(item.item, ending=_SUFFIX), file)


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return EpubOutput
