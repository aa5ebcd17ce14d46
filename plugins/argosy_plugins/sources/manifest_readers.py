"""The formats of a manifest: JSON Lines, one JSON array, CSV. All are read in constant memory."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from argosy.models.items import DIGESTS
from argosy_plugins.sources.reading import MAX_LINE, Problems, lines
from argosy_plugins.sources.strict_json import StrictDecoder, Unreadable

#: One entry: its place (a line number or a description) and its JSON value.
Entry = tuple[int | str, Any]

_CHUNK = 64 * 1024
_SPACE = re.compile(r"[ \t\n\r]*")
_ITEM_COLUMNS = ("id", "title", "tags")
_RESOURCE_COLUMNS = ("url", "path", "size", *DIGESTS, "referer")


def json_lines(stream: BinaryIO, problems: Problems) -> Iterator[Entry]:
    """Yield an entry for each line that is not blank."""
    decoder = StrictDecoder()
    for number, text in lines(stream, problems):
        if text.isspace():
            continue
        try:
            value = decoder.decode(text)
        except Unreadable as error:
            problems.add(number, f"{error} (column {error.at + 1})", "one JSON object a line")
            continue
        if decoder.faults:
            problems.add(number, decoder.faults[0], "each key once, numbers and text that JSON allows")
            continue
        yield number, value


def json_array(stream: BinaryIO, problems: Problems) -> Iterator[Entry]:
    """Yield an entry for each element of an array; stop at a syntax error."""
    decoder = StrictDecoder()
    text = _Window(stream, problems)
    number = 0
    if not text.take("["):
        text.fault("no JSON array", 'an array: [{"url": "https://..."}, ...]')
        return
    if not text.take("]"):
        while True:
            number += 1
            try:
                value = text.value(decoder)
            except Unreadable as error:
                text.fault(f"item {number} is {error}", "a JSON object")
                return
            if decoder.faults:
                problems.add(f"item {number}", decoder.faults[0], "each key once, numbers and text that JSON allows")
            else:
                yield f"item {number}", value
            if text.take("]"):
                break
            if not text.take(","):
                text.fault(f"no comma after item {number}", '"," before the next item, or "]" at the end')
                return
    if text.rest():
        text.fault("more text after the array", "one JSON array, and nothing else")


class _Window:
    """The part of a text that is being decoded; it only grows as far as one value needs."""

    def __init__(self, stream: BinaryIO, problems: Problems) -> None:
        self._stream = stream
        self._problems = problems
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0  # the decoded part of the text
        self._line = 1  # at the current position
        self._broken = False
        self._ended = False

    def take(self, character: str) -> bool:
        """Skip white space, and this character if it follows."""
        if self.rest() != character:
            return False
        self._advance(self._at + 1)
        return True

    def rest(self) -> str:
        """Skip white space; return the next character, or an empty string at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._advance(space.end() if space else self._at)
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._grow(_CHUNK)

    def value(self, decoder: StrictDecoder) -> Any:
        """Return the next value."""
        self.rest()
        size = _CHUNK
        while True:
            try:
                value, end = decoder.decode_at(self._text, self._at)
            except Unreadable as error:
                if self._ended:
                    self._advance(error.at)
                    raise
            else:
                # a number at the end of the window may continue
                if end < len(self._text) or self._ended:
                    self._advance(end)
                    return value
            if len(self._text) - self._at > MAX_LINE:
                raise Unreadable("not JSON, or longer than 10 MiB", self._at)
            self._grow(size)
            size *= 2

    def fault(self, found: str, expected: str) -> None:
        """Report a problem at the window's line, unless a decoding error was reported."""
        if not self._broken:
            self._problems.add(self._line, found, expected)

    def _advance(self, end: int) -> None:
        if end > self._at:
            self._line += self._text.count("\n", self._at, end)
            self._at = end

    def _grow(self, size: int) -> None:
        self._text = self._text[self._at :]
        self._at = 0
        raw = self._stream.read(size)
        self._ended = not raw
        try:
            self._text += self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line = self._line + self._text.count("\n") + error.object[: error.start].count(b"\n")
            found = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
            self._broken = self._ended = True
            self._problems.add(line, found, "save the file as UTF-8")


def csv_rows(stream: BinaryIO, problems: Problems) -> Iterator[Entry]:
    """Yield an entry for each run of rows with the same id, and for each row without an id.

    The columns ``url`` (required), ``id``, ``title``, ``tags`` (separated by ``;``), ``path``, ``size`` and the digests
    are known; other columns are metadata. An empty field is absent. A row with an id is a file in the folder of that id;
    the first row of the id has its title, tags and metadata.
    """
    group: dict[str, Any] | None = None
    start = 0
    for number, row in _rows(stream, problems):
        entry = _row_to_entry(row, number, problems)
        if entry is None:
            continue
        if group is not None and "id" in entry and entry["id"] == group["id"]:
            group["resources"] += entry["resources"]
            continue
        if group is not None:
            yield start, group
        group, start = (entry, number) if "id" in entry else (None, 0)
        if group is None:
            yield number, entry
    if group is not None:
        yield start, group


def _rows(stream: BinaryIO, problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader((text for _, text in lines(stream, problems)), strict=True)
    header: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            problems.add(number, f"not CSV: {error}", 'fields separated by commas, in "..." where they contain one')
            continue
        if not any(field.strip() for field in row):
            continue
        if not header:
            header = [name.strip() for name in row]
            if not _header_is_right(header, number, problems):
                return
        elif len(row) != len(header):
            problems.add(number, f"{len(row)} fields", f"{len(header)} fields, as in the first row")
        else:
            yield number, {name: field for name, field in zip(header, row, strict=True) if field}
    if not header:
        problems.add(1, "no rows", 'a first row with the names of the columns, "url" among them')


def _header_is_right(header: list[str], number: int, problems: Problems) -> bool:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        problems.add(number, f"the column {twice!a} twice", "each name once")
    if "url" not in header:
        problems.add(number, 'no column "url"', "a first row with the names of the columns, such as url,title")
    return twice is None and "url" in header


def _row_to_entry(row: dict[str, str], number: int, problems: Problems) -> dict[str, Any] | None:
    resource: dict[str, Any] = {name: row[name] for name in _RESOURCE_COLUMNS if name in row}
    if "size" in resource:
        if not (resource["size"].isascii() and resource["size"].isdecimal() and len(resource["size"]) < 20):
            problems.add(number, f'"size" is {resource["size"][:40]!a}', "a whole number of bytes, 0 or more")
            return None
        resource["size"] = int(resource["size"])
    entry: dict[str, Any] = {name: row[name] for name in ("id", "title") if name in row}
    if "tags" in row:
        entry["tags"] = [tag.strip() for tag in row["tags"].split(";") if tag.strip()]
    known = (*_ITEM_COLUMNS, *_RESOURCE_COLUMNS)
    if metadata := {name: value for name, value in row.items() if name not in known}:
        entry["metadata"] = metadata
    return {**entry, "resources": [resource]} if "id" in entry else {**entry, **resource}
