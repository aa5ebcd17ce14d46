"""Reads the metadata of a book from its item."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from argosy.models.items import Item
from argosy.toolkit.redaction import Redactor
from argosy_epub.attributes import LANGUAGE
from argosy_epub.tree import line

#: The modification time if none is known.
UNKNOWN_TIME = "2000-01-01T00:00:00Z"
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")
_ISBN = re.compile(r"(?:97[89])?[0-9]{9}[0-9Xx]\Z")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of a book; unknown texts are empty."""

    identifier: str  # always the same for the same item
    title: str
    language: str = ""
    authors: tuple[str, ...] = ()
    contributors: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    publisher: str = ""
    date: str = ""  # a year, a month or a day
    description: str = ""
    rights: str = ""
    source: str = ""
    series: str = ""
    position: str = ""  # its place in the series
    modified: str = UNKNOWN_TIME  # such as ``2026-01-31T12:00:00Z``
    titles: Mapping[str, str] | None = None  # the titles of chapters, by path
    cover: str = ""  # its path or URL


def metadata_of(item: Item) -> Metadata:
    """Return the metadata of an item's book; ignore values of unexpected types."""
    redact = Redactor().redact  # people share books, and URLs may contain secrets
    known = redact(item.metadata)
    language = _first(known, "language", "lang").replace("_", "-")
    date = _DATE.match(_first(known, "date", "published", "issued", "year"))
    return Metadata(
        identifier=_identifier(item, known),
        title=line(redact(item.title)) or line(redact(item.id)) or "-",
        language=language if LANGUAGE.match(language) else "",
        authors=_names(known, "authors", "author", "creators", "creator"),
        contributors=_names(known, "contributors", "contributor", "editors", "editor", "translator"),
        subjects=tuple(
            dict.fromkeys([*(t for tag in item.tags if (t := line(tag))), *_names(known, "subjects", "subject")])
        ),
        publisher=", ".join(_names(known, "publishers", "publisher")),
        date=date.group() if date and _is_date(date.group()) else "",
        description=_first(known, "description", "summary", "abstract"),
        rights=_first(known, "rights", "license", "licence", "copyright"),
        source=_first(known, "source", "url"),
        series=_first(known, "series"),
        position=_first(known, "series_index", "series_position", "volume"),
        modified=_time(known.get("modified")) or _time(known.get("updated")) or _date_time(date) or UNKNOWN_TIME,
        titles=_titles(known.get("toc")),
        cover=_first(known, "cover"),
    )


def _identifier(item: Item, known: Mapping[str, Any]) -> str:
    """Return an ISBN if there is one, else a UUID derived from the item's id and its first resource's host."""
    for text in _names(known, "isbn", "identifier"):
        digits = re.sub(r"[\s-]|^(?:urn:)?isbn:", "", text, flags=re.I)
        if _ISBN.match(digits):
            return f"urn:isbn:{digits.upper()}"
        if text.lower().startswith(("urn:", "doi:", "https://", "http://")):
            return text
    host = urlsplit(item.resources[0].url).hostname if item.resources else ""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([host or '', item.id]))}"


def _first(known: Mapping[str, Any], *keys: str) -> str:
    return next(iter(_names(known, *keys)), "")


def _names(known: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """Return the texts under the first of some keys with any: a text, a list, or objects with a ``name``."""
    for key in keys:
        value = known.get(key)
        found = [text for part in (value if isinstance(value, list) else [value]) if (text := _text(part))]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return line(str(value))


def _titles(value: object) -> dict[str, str]:
    """Return titles by path, from ``{"ch1.html": "One"}`` or ``[{"path": "ch1.html", "title": "One"}]``."""
    pairs: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = [(part.get("path"), part.get("title")) for part in value if isinstance(part, Mapping)]
    return {path: title for path, given in pairs if isinstance(path, str) and (title := _text(given))}


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(f"{text}-01-01"[:10] if len(text) < 10 else text)
    except ValueError:
        return False
    return True


def _time(value: object) -> str:
    if not isinstance(value, str):
        return ""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1000 else ""


def _date_time(date: re.Match[str] | None) -> str:
    return _time(f"{date.group()}-01-01"[:10]) if date else ""
