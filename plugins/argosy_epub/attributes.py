"""Cleans attributes: keeps allowed ones and converts obsolete ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from argosy_epub.elements import LOOKS
from argosy_epub.kinds import Role
from argosy_epub.members import BookFile, References, identifier
from argosy_epub.styles import clean_declarations
from argosy_epub.tree import legal, line

#: A language tag (BCP 47, section 2.1), without grandfathered tags.
LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-x(?:-[a-z0-9]{1,8})+)?\Z",
    re.I,
)
_NUMBER = re.compile(r"\s*([0-9]{1,5})\s*\Z")
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,9})\s*\Z")
_LENGTH = re.compile(r"\s*([0-9]{1,5})(px|%|em|)\s*\Z")
_COLOUR = re.compile(r"\s*(#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?|[A-Za-z]{3,20})\s*\Z")
_TYPE = re.compile(r"[a-z][a-z-]*\Z")
_SIZES = ("", "x-small", "small", "medium", "large", "x-large", "xx-large", "xx-large")
_ALIGNED = frozenset({"left", "right", "center", "justify"})
_FLOATED = frozenset({"img", "table"})
_SCOPES = frozenset({"row", "col", "rowgroup", "colgroup"})
_MOST_CELLS = 1000

#: Marks a link in an unfinished chapter; these characters never occur in a document.
ANCHOR = re.compile(' href="\x01([0-9]+)\x02([A-Za-z0-9_.-]*)\x03"')


def anchor(member: BookFile, fragment: str) -> str:
    """Return the placeholder for a link to a place in a chapter, until all chapters are known."""
    return f"\x01{member.number}\x02{identifier(fragment) if fragment else ''}\x03"


class Attributes:
    """Cleans the attributes of the elements of one file."""

    def __init__(self, references: References) -> None:
        self.references = references
        #: The ids seen so far.
        self.ids: set[str] = set()
        self._styles: dict[str, str] = {}  # the same ones occur in many elements

    def of(self, was: str, name: str, attributes: Mapping[str, str | None]) -> dict[str, str]:
        """Return the cleaned attributes of an HTML element that was called `was` and becomes `name`."""
        given = self.plain(attributes)
        kept = self.identity(given)
        if was == "a" and "id" not in kept and given.get("name", "").strip():
            kept |= self.identity({"id": given["name"]})
        for key in ("class", "title"):
            if value := line(given.get(key, "")):
                kept[key] = value
        if given.get("dir", "").strip().lower() in {"ltr", "rtl", "auto"}:
            kept["dir"] = given["dir"].strip().lower()
        kept |= self.language(given)
        kept |= self._semantics(given)
        kept |= self._own(name, given)
        styles = [_look(was, name, given), self.style(given.get("style", ""))]
        if style := "; ".join(part for part in styles if part):
            kept["style"] = style
        return kept

    def plain(self, attributes: Mapping[str, str | None]) -> dict[str, str]:
        """Return attributes with only the characters that XML allows."""
        return {key: legal(value or "") for key, value in attributes.items()}

    def identity(self, attributes: Mapping[str, str | None]) -> dict[str, str]:
        """Return the id of an element unless an earlier one has it."""
        value = legal(attributes.get("id") or "").strip()
        own = identifier(value) if value else ""
        if not own or own in self.ids:
            return {}
        self.ids.add(own)
        return {"id": own}

    def style(self, declarations: str) -> str:
        """Return the cleaned value of a ``style`` attribute."""
        if declarations not in self._styles:
            self._styles[declarations] = clean_declarations(declarations, self.references.style_address)
        return self._styles[declarations]

    def drawn(self, declarations: str) -> str:
        """Return the cleaned value of a ``style`` attribute in a drawing, where fills may refer to parts of it."""
        return clean_declarations(declarations, self.paint_address)

    def paint_address(self, address: str, wanted: str) -> str | None:
        """Resolve the references in the styles of a drawing."""
        if address[:1] == "#":
            return f"#{identifier(address[1:])}"
        return self.references.style_address(address, wanted)

    def drawing_reference(self, name: str, address: str) -> str | None:
        """Return the new value of a reference in a drawing: a part of the drawing or an image of the book."""
        if name == "image":
            found = self.references.file(address, {Role.IMAGE, Role.DRAWING})
            return found.name if found else None
        return f"#{identifier(address[1:])}" if len(address) > 1 and address[0] == "#" else None

    def language(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the language of an element if it is a valid tag."""
        for key in ("lang", "xml:lang"):
            value = given.get(key, "").strip()
            if LANGUAGE.match(value):
                return {"lang": value, "xml:lang": value}
        return {}

    def _semantics(self, given: Mapping[str, str]) -> dict[str, str]:
        types = [word for word in given.get("epub:type", "").split() if _TYPE.match(word)]
        return {"epub:type": " ".join(types)} if types else {}

    def _own(self, name: str, given: Mapping[str, str]) -> dict[str, str]:
        if name == "a":
            target = self.references.link(given["href"], anchor) if given.get("href") else None
            return {"href": target} if target else {}
        return _OWN[name](name, given) if name in _OWN else {}


def _cell(name: str, given: Mapping[str, str]) -> dict[str, str]:
    scope = given.get("scope", "").lower()
    spans = {key: count for key in ("colspan", "rowspan") if (count := _span(given, key))}
    return {**spans, "scope": scope} if name == "th" and scope in _SCOPES else spans


def _column(name: str, given: Mapping[str, str]) -> dict[str, str]:
    count = _span(given, "span")
    return {"span": count} if count else {}


def _span(given: Mapping[str, str], key: str) -> str:
    count = _NUMBER.match(given.get(key, ""))
    return str(int(count[1])) if count and 1 < int(count[1]) <= _MOST_CELLS else ""


def _numbered(name: str, given: Mapping[str, str]) -> dict[str, str]:
    kept = {}
    if start := _INTEGER.match(given.get("start", "")):
        kept["start"] = str(int(start[1]))
    if given.get("type") in {"1", "a", "A", "i", "I"}:
        kept["type"] = given["type"]
    return {**kept, "reversed": "reversed"} if "reversed" in given else kept


def _number(name: str, given: Mapping[str, str]) -> dict[str, str]:
    value = _INTEGER.match(given.get("value", ""))
    return {"value": str(int(value[1]))} if value else {}


def _measures(name: str, given: Mapping[str, str]) -> dict[str, str]:
    found = {key: _NUMBER.match(given.get(key, "").strip().removesuffix("px")) for key in ("width", "height")}
    return {key: str(int(pixels[1])) for key, pixels in found.items() if pixels}


_OWN: dict[str, Callable[[str, Mapping[str, str]], dict[str, str]]] = {
    "td": _cell,
    "th": _cell,
    "col": _column,
    "colgroup": _column,
    "ol": _numbered,
    "li": _number,
    "img": _measures,
    "details": lambda name, given: {"open": "open"},  # interactive attributes have no use in a book
}


def _look(was: str, name: str, given: Mapping[str, str]) -> str:
    """Return CSS declarations for obsolete elements and attributes."""
    looks = [LOOKS[was]] if was in LOOKS and was in {"center", "big", "nobr"} else []
    align = given.get("align", "").strip().lower()
    if align in {"left", "right"} and name in _FLOATED:
        looks.append(f"float: {align}")
    elif align in _ALIGNED and name not in _FLOATED:
        looks.append(f"text-align: {align}")
    valign = given.get("valign", "").strip().lower()
    if name in {"td", "th", "tr"} and valign in {"top", "middle", "bottom", "baseline"}:
        looks.append(f"vertical-align: {valign}")
    colours = [("bgcolor", "background-color")] + ([("color", "color")] if was == "font" else [])
    for key, declared in colours:
        if colour := _COLOUR.match(given.get(key, "")):
            looks.append(f"{declared}: {colour[1]}")
    if was == "font" and given.get("size", "").strip().isdecimal():
        looks.append(f"font-size: {_SIZES[max(1, min(7, int(given['size'].strip()[:3])))]}")
    if name in {"table", "td", "th"} and (width := _LENGTH.match(given.get("width", ""))):
        looks.append(f"width: {width[1]}{width[2] or 'px'}")
    return "; ".join(looks)
