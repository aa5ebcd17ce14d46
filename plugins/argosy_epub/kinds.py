"""Detects file types by content: names and servers are often wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from argosy_epub.decoding import decoded

#: The bytes at the start of a file to inspect.
HEAD = 4096


class Role(StrEnum):
    """The role of a file in a book."""

    CHAPTER = "chapter"
    IMAGE = "image"
    DRAWING = "drawing"  # SVG: parsed, because it may refer to other files
    STYLE = "style"
    FONT = "font"
    SOUND = "audio"
    FILM = "video"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a file: its role, media type and the suffix of its name in the book, with the dot."""

    role: Role
    media_type: str
    suffix: str = ""


CHAPTER = Kind(Role.CHAPTER, "application/xhtml+xml", ".xhtml")
STYLE = Kind(Role.STYLE, "text/css", ".css")
DRAWING = Kind(Role.DRAWING, "image/svg+xml", ".svg")
_JPEG = Kind(Role.IMAGE, "image/jpeg", ".jpg")
_MP3 = Kind(Role.SOUND, "audio/mpeg", ".mp3")

# EPUB 3.3 section 3.2: the core media types, and common types that are not
_BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind(Role.IMAGE, "image/png", ".png")),
    (b"GIF87a", Kind(Role.IMAGE, "image/gif", ".gif")),
    (b"GIF89a", Kind(Role.IMAGE, "image/gif", ".gif")),
    (b"wOFF", Kind(Role.FONT, "font/woff", ".woff")),
    (b"wOF2", Kind(Role.FONT, "font/woff2", ".woff2")),
    (b"OTTO", Kind(Role.FONT, "font/otf", ".otf")),
    (b"\x00\x01\x00\x00\x00", Kind(Role.FONT, "font/ttf", ".ttf")),
    (b"true\x00", Kind(Role.FONT, "font/ttf", ".ttf")),
    (b"ID3", _MP3),
    (b"\xff\xfb", _MP3),
    (b"\xff\xf3", _MP3),
    (b"\x1a\x45\xdf\xa3", Kind(Role.FILM, "video/webm", ".webm")),
    (b"II*\x00", Kind(Role.OTHER, "image/tiff")),
    (b"MM\x00*", Kind(Role.OTHER, "image/tiff")),
    (b"\x00\x00\x01\x00", Kind(Role.OTHER, "image/vnd.microsoft.icon")),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", Kind(Role.OTHER, "image/jxl")),
    (b"\xff\x0a", Kind(Role.OTHER, "image/jxl")),
    (b"%PDF-", Kind(Role.OTHER, "application/pdf")),
    (b"PK\x03\x04", Kind(Role.OTHER, "application/zip")),
    (b"\x1f\x8b", Kind(Role.OTHER, "application/gzip")),
    (b"OggS", Kind(Role.OTHER, "audio/ogg")),
)
_WEBP = Kind(Role.IMAGE, "image/webp", ".webp")
# ISO/IEC 14496-12: the brand at byte 8 of a file whose first box is "ftyp"
_BRANDS = {
    b"avif": Kind(Role.OTHER, "image/avif"),
    b"avis": Kind(Role.OTHER, "image/avif"),
    b"heic": Kind(Role.OTHER, "image/heic"),
    b"heix": Kind(Role.OTHER, "image/heic"),
    b"mif1": Kind(Role.OTHER, "image/heif"),
    b"M4A ": Kind(Role.SOUND, "audio/mp4", ".m4a"),
}
_FILM = Kind(Role.FILM, "video/mp4", ".mp4")
_OTHER = Kind(Role.OTHER, "application/octet-stream")
_BY_NAME = {
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xht", ".xhtm", ".shtml"), CHAPTER),
    ".css": STYLE,
    ".js": Kind(Role.OTHER, "text/javascript"),
    ".mjs": Kind(Role.OTHER, "text/javascript"),
    ".json": Kind(Role.OTHER, "application/json"),
    ".txt": Kind(Role.OTHER, "text/plain"),
    ".md": Kind(Role.OTHER, "text/markdown"),
    ".xml": Kind(Role.OTHER, "application/xml"),
    ".ncx": Kind(Role.OTHER, "application/x-dtbncx+xml"),
    ".opf": Kind(Role.OTHER, "application/oebps-package+xml"),
}
# skips anything before the first element without backtracking
_BEFORE = rb"(?:\s|<\?[^>]*>|<!--(?:(?!-->).)*+-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*+"
_IS_DRAWING = re.compile(_BEFORE + rb"<(?:svg:)?svg[\s>/]", re.I | re.S)
_IS_CHAPTER = re.compile(
    _BEFORE + rb"<(?:html|head|body|title|meta|link|article|section|main|div|p|h[1-6])[\s>/]", re.I | re.S
)
_IS_CHAPTER_TYPE = re.compile(rb"(?:\s|<\?[^>]*>|<!--(?:(?!-->).)*+-->)*+<!DOCTYPE\s+html\b", re.I | re.S)


def sniffed(name: str, head: bytes) -> Kind:
    """Return the type of a file; its name only decides if its first bytes do not (style sheets have no signature)."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _WEBP
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _FILM)
    suffix = PurePosixPath(name).suffix.lower()
    if head[:2] == b"BM" and suffix not in _BY_NAME:
        return Kind(Role.OTHER, "image/bmp")
    text = decoded(head).encode("ascii", "ignore")
    if _BY_NAME.get(suffix) is not CHAPTER and _IS_DRAWING.match(text):
        return DRAWING
    if suffix in _BY_NAME:
        return _BY_NAME[suffix]
    return CHAPTER if _IS_CHAPTER.match(text) or _IS_CHAPTER_TYPE.match(text) else _OTHER
