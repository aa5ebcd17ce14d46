"""Images, audio, video and frames: the file if the book has it, else a link or the alternative text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from argosy_epub.attributes import anchor
from argosy_epub.content import fitted
from argosy_epub.kinds import Role
from argosy_epub.members import BookFile
from argosy_epub.tree import Child, Element, line

if TYPE_CHECKING:
    from argosy_epub.cleaning import Cleaner

_PICTURES = frozenset({Role.IMAGE, Role.DRAWING})
#: Attributes in which lazy-loading pages keep the address.
_ADDRESSES = ("src", "data-src", "data-original", "data-lazy-src", "data-hi-res-src")
_BETWEEN = re.compile(r",(?=\s)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)[wx]")
_SETS = ("srcset", "data-srcset", "data-lazy-srcset")


def _image(cleaner: Cleaner, node: Any, inside: tuple[str, ...]) -> list[Child]:
    return _picture_of(cleaner, node, _sources(node.attrs))


def _picture(cleaner: Cleaner, node: Any, inside: tuple[str, ...]) -> list[Child]:
    """Return the image of a ``picture``, or one of its sources if that is missing."""
    image = next((child for child in node.children if child.name == "img"), None)
    if image is None:
        return cleaner.children(node.children, inside)
    others = [child for child in node.children if child.name == "source"]
    return _picture_of(cleaner, image, [*_sources(image.attrs), *(a for s in others for a in _sources(s.attrs))])


def _picture_of(cleaner: Cleaner, node: Any, addresses: Iterable[str]) -> list[Child]:
    attributes = cleaner.attributes
    alt = line(node.attrs.get("alt") or "")
    for address in addresses:
        found = attributes.references.file(address, _PICTURES)
        if found is not None:
            kept = attributes.of("img", "img", node.attrs)
            return [Element("img", {"src": found.name, "alt": alt, **kept})]
    if not alt:
        return []
    kept = {key: value for key, value in attributes.of("span", "span", node.attrs).items() if key in {"id", "class"}}
    return [Element("span", kept, [alt])]


def _sources(attrs: Any) -> list[str]:
    """Return the addresses of an image: its own, then those of its source sets, the largest first."""
    addresses = [value for key in _ADDRESSES if (value := (attrs.get(key) or "").strip())]
    for key in _SETS:
        if value := attrs.get(key):
            addresses += [url for _, url in sorted(_candidates(value), key=lambda pair: -pair[0])]
    # a data: URL is often a placeholder for an image that a script would load
    return sorted(addresses, key=lambda address: address[:5].lower() == "data:")


def _candidates(text: str) -> list[tuple[float, str]]:
    """Return the addresses of a ``srcset``, each with its width or density (HTML, section 4.8.4.2.1)."""
    found = []
    for part in _BETWEEN.split(text):
        address, _, size = part.strip(", \t\n\r\f").partition(" ")
        number = _SIZE.match(size.strip())
        found.append((float(number[1]) if number else 1.0, address))
    return [pair for pair in found if pair[1]]


def _played(cleaner: Cleaner, node: Any, inside: tuple[str, ...]) -> list[Child]:
    """Return audio or video: the file in the book, a link to the web, or its fallback content."""
    attributes = cleaner.attributes
    role = Role.SOUND if node.name == "audio" else Role.FILM
    inner = [child for child in node.children if child.name == "source"]
    addresses = [a for n in (node, *inner) if (a := (n.attrs.get("src") or "").strip())]
    found = _first(cleaner, addresses, role)
    if found is not None and not {"a", "audio", "video"} & set(inside):
        kept = attributes.of(node.name, node.name, node.attrs)
        poster = attributes.references.file(node.attrs.get("poster") or "", {Role.IMAGE}) if role is Role.FILM else None
        shown = {"poster": poster.name} if poster else {}
        return [Element(node.name, {"src": found.name, "controls": "controls", **shown, **kept})]
    return _instead(cleaner, node, inside, addresses)


def _first(cleaner: Cleaner, addresses: Iterable[str], role: Role) -> BookFile | None:
    files = (cleaner.attributes.references.file(address, {role}) for address in addresses)
    return next((file for file in files if file is not None), None)


def _framed(cleaner: Cleaner, node: Any, inside: tuple[str, ...]) -> list[Child]:
    """Return a link to the contents of a frame; an object may be an image."""
    address = (node.attrs.get("src") or node.attrs.get("data") or "").strip()
    found = cleaner.attributes.references.file(address, _PICTURES) if node.name != "iframe" else None
    if found is not None:
        kept = cleaner.attributes.of("img", "img", node.attrs)
        return [Element("img", {"src": found.name, "alt": line(_text(node)), **kept})]
    return _instead(cleaner, node, inside, [address] if address else [])


def _instead(cleaner: Cleaner, node: Any, inside: tuple[str, ...], addresses: list[str]) -> list[Child]:
    own = cleaner.children(node.children, inside) if node.name != "iframe" else []
    if any(not isinstance(child, str) or child.strip() for child in own):
        return own
    if "a" in inside:
        return []
    for address in addresses:
        target = cleaner.attributes.references.link(address, anchor)
        if target:
            words = line(node.attrs.get("title") or "") or (target if target[0] != "\x01" else node.name)
            return [fitted(Element("a", {"href": target}, [words]))]
    return []


def _text(node: Any) -> str:
    return str(node.to_text()) if node.children else ""


#: The converter of each element.
REPLACED: dict[str, Callable[[Cleaner, Any, tuple[str, ...]], list[Child]]] = {
    "img": _image,
    "image": _image,
    "picture": _picture,
    "audio": _played,
    "video": _played,
    **dict.fromkeys(("iframe", "object", "embed", "applet"), _framed),
}
