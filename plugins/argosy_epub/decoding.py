"""Decodes HTML."""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BARE = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_DECLARED = re.compile(
    rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)|<meta[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I
)
#: How far to search for a declaration (HTML, section "Determining the character encoding"), plus room for XML's.
_PRESCAN = 4096


def decoded(data: bytes) -> str:
    """Return the text of an HTML or XHTML document; never fails.

    In order: a byte order mark; valid UTF-8, whatever is declared (long texts in other encodings are never valid UTF-8
    by chance); the declared encoding; Windows-1252, which ``iso-8859-1`` and ``ascii`` mean on the web (WHATWG Encoding
    Standard, section 4.2).
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for beginning, encoding in _BARE:
        if data.startswith(beginning):
            return data.decode(encoding, "replace")
    declared = _declared(data[:_PRESCAN])
    if declared not in {"iso2022_jp", "utf-7", "hz"}:  # these look like ASCII, and UTF-8 was tried
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    try:
        return data.decode(declared, "replace")
    except (LookupError, UnicodeError):
        return data.decode("cp1252", "replace")


def _declared(head: bytes) -> str:
    found = _DECLARED.search(head)
    name = (found[1] or found[2]).decode("ascii", "ignore") if found else "cp1252"
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return "cp1252"
    text = getattr(codec, "_is_text_encoding", True)  # excludes codecs such as rot13 and hex
    web = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "utf-16": "utf-8"}
    return web.get(codec.name, codec.name) if text else "cp1252"
