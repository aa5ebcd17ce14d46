"""The source ``manifest``: a file that lists the items, with their files, sizes and digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, BinaryIO, ClassVar

import requests

from argosy import hookimpl
from argosy.errors import ConfigError
from argosy.interfaces.source import Source
from argosy.models.items import Item
from argosy_plugins.sources.manifest_entry import entry_to_item
from argosy_plugins.sources.manifest_readers import Entry, csv_rows, json_array, json_lines
from argosy_plugins.sources.reading import URL_OPTIONS, Problems, can_be_opened, opened, shown_path

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv"}


class Manifest(Source):
    """Yields the items of a manifest: JSON Lines, one JSON array, or CSV.

    An entry with ``resources`` gets a folder named after its id; the file of an entry with just a ``url`` goes directly
    into the target directory. A file without a ``path`` is named after the last part of its URL.
    """

    name = "manifest"
    summary = "A file that lists the items: JSON lines, JSON or CSV"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": 'The file; "-" is standard input.'},
            "format": {
                "enum": ["jsonl", "json", "csv"],
                "description": "Its format; by default from the file's suffix, and JSON Lines on standard input.",
            },
            **URL_OPTIONS,
        },
        "required": ["path"],
    }

    def check(self) -> None:
        """Check that the file can be opened and its format is known."""
        path: str = self.options["path"]
        self._reader(path)
        can_be_opened(path, self.context, "manifest")

    def items(self, http: requests.Session) -> Iterator[Item]:
        """Yield the items of the valid entries.

        Raises ConfigError if the format is unknown, and SourceError if the file cannot be read; at the end, with all invalid
        entries.
        """
        path: str = self.options["path"]
        read = self._reader(path)
        name = shown_path(path)
        problems = Problems(name, "manifest")
        served: bool = self.options.get("content_disposition", False)
        ignored: bool = self.options.get("ignore_query", False)
        with opened(path, self.context, "manifest") as stream:
            for where, entry in read(stream, problems):
                origin = f"{name}:{where}" if isinstance(where, int) else f"{name}: {where}"

                def report(found: str, expected: str, where: int | str = where) -> None:
                    problems.add(where, found, expected)

                item = entry_to_item(entry, origin, report, served=served, ignore_query=ignored)
                if item is not None:
                    yield item
        problems.raise_if_any()

    def _reader(self, path: str) -> Callable[[BinaryIO, Problems], Iterator[Entry]]:
        form = self.options.get("format")
        if form is None:
            suffix = PurePath(path).suffix.lower()
            form = "jsonl" if path == "-" else _SUFFIXES.get(suffix)
        if form is None:
            raise ConfigError(
                f"The form of the manifest {path} cannot be told from its name.",
                hint='Say it in the configuration: "format": "jsonl", "json" or "csv".',
            )
        return {"jsonl": json_lines, "json": json_array, "csv": csv_rows}[form]


@hookimpl
def argosy_source() -> type[Source]:
    """Register the source ``manifest``."""
    return Manifest
