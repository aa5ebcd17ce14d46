"""Books for the tests of the output ``epub``: staging them, making them, and looking into what was made."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from argosy import Item, PluginContext, Resource, StagedFile, StagedItem
from argosy.models.items import Verification
from argosy_epub.output import EpubOutput

XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"
DC = "{http://purl.org/dc/elements/1.1/}"
SITE = "https://library.example/books/b1/"


def png(width: int = 2, height: int = 2, shade: int = 120) -> bytes:
    """Return a picture of one shade of grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + bytes([shade]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def staged(folder: Path, files: Mapping[str, str | bytes], **about: Any) -> StagedItem:
    """Write files, and return the item that they are the resources of.

    Parameters
    ----------
    folder
        Where to.
    files
        What the resources hold, by their paths.
    about
        ``id``, ``title``, ``tags`` and ``metadata`` of the item.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, (path, content) in enumerate(files.items()):
        file = folder / f"{number}-staged"
        data = content.encode() if isinstance(content, str) else content
        file.write_bytes(data)
        made.append(StagedFile(Resource(SITE + path, path), file, len(data), "", Verification.NONE))
    item = Item(
        about.get("id", "b1"),
        about.get("title", "A book"),
        tuple(file.resource for file in made),
        tuple(about.get("tags", ())),
        about.get("metadata", {}),
    )
    return StagedItem(item, tuple(made))


@dataclass
class Book:
    """An EPUB that was made.

    Parameters
    ----------
    name
        The final name it asks for.
    path
        Where it lies.
    notices
        What the person was told.
    """

    name: str
    path: Path
    notices: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        """Return the names of all its files, in order."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def read(self, name: str) -> str:
        """Return a text file below ``EPUB/``."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(f"EPUB/{name}").decode()

    def xml(self, name: str) -> ET.Element:
        """Return an XML file below ``EPUB/``, parsed: it is well-formed then."""
        return ET.fromstring(self.read(name))

    def body(self, number: int = 1) -> str:
        """Return what stands in the body of a chapter, as it is written."""
        text = self.read(f"chapter-{number:04d}.xhtml")
        inner = text.partition("<body")[2].partition(">")[2]
        return inner.rpartition("</body>")[0]

    def manifest(self) -> dict[str, dict[str, str]]:
        """Return the attributes of what the package document lists, by name."""
        return {item.attrib["href"]: item.attrib for item in self.xml("package.opf").iter(f"{OPF}item")}

    def dublin_core(self, name: str) -> list[str]:
        """Return the texts of an element of the metadata."""
        return [element.text or "" for element in self.xml("package.opf").iter(f"{DC}{name}")]


def options(**given: Any) -> dict[str, Any]:
    """Return the options of the output as the core hands them over: with all defaults."""
    properties: Mapping[str, Any] = EpubOutput.options_schema["properties"]
    return {**{name: schema["default"] for name, schema in properties.items()}, **given}


def make(item: StagedItem, scratch: Path, **given: Any) -> Book:
    """Make the EPUB of an item."""
    scratch.mkdir(parents=True, exist_ok=True)
    notices: list[str] = []
    output = EpubOutput(options(**given), PluginContext(notice=notices.append))
    (product,) = output.produce(item, scratch)
    return Book(product.name, product.file, notices)
