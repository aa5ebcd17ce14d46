"""The output ``epub``: an EPUB of an item's chapters, images and styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import ConfigError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedItem
from argosy_plugins.layout import Layout

_SUFFIX = ".epub"


class EpubOutput(Output):
    """Creates one EPUB 3 per item: its chapters in order, with everything they show, and a table of contents."""

    name = "epub"
    summary = "One EPUB per item from its chapters, images and styles (needs argosy[epub])"
    options_schema = {
        "type": "object",
        "properties": {
            "layout": {
                "type": "string",
                "minLength": 1,
                "default": "{folder|id}",
                "description": "The name of the book without its suffix. Fields: {id}, {title}, {tag},"
                " {tags}, {folder}, {metadata.NAME}.",
            },
            "cover": {
                "type": "string",
                "default": "",
                "description": "The path of the cover within each item, such as cover.jpg. By default, the cover in the "
                "item's metadata, or its first image named cover.",
            },
            "language": {
                "type": "string",
                "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
                "default": "und",
                "description": "The language (BCP 47) of a book if neither its metadata nor its chapters name one.",
            },
            "headings": {
                "type": "boolean",
                "default": True,
                "description": "Also list the main headings of each chapter in the table of contents.",
            },
            "no_chapters": {
                "enum": ["fail", "skip"],
                "default": "fail",
                "description": "For an item without an HTML chapter, such as a single PDF: fail, or skip this output.",
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
        del justhtml, tinycss2  # imported only here, because the extra is optional
        self._layout = Layout(options["layout"], of_files=False)

    def names(self, item: Item) -> Iterator[str]:
        """Yield the name of the book."""
        if self.options["no_chapters"] == "fail":  # else it may create none
            yield self._layout.name(item, ending=_SUFFIX)

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Yield the book; raise TransferError if the item has no chapter."""
        from argosy_epub.book import has_chapters, write_book

        if not has_chapters(item):
            if self.options["no_chapters"] == "skip":
                return
            kinds = ", ".join(sorted({Path(file.resource.path).suffix or "no suffix" for file in item.files}))
            raise TransferError(
                f"This item has no HTML chapter for an EPUB (it has {kinds}).",
                kind="content",
                hint='Set the option no_chapters to "skip", or leave out this output for such items.',
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
