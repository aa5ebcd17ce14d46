"""Converts selectors and fonts for readers whose CSS is years behind that of browsers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import tinycss2

_MARKS = frozenset(".:>+~*")
_FUNCTIONS = frozenset({"nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type", "lang", "not"})
_ATTRIBUTE = re.compile(r"""\s*[A-Za-z_-][\w-]*\s*(?:[~|^$*]?=\s*(?:[A-Za-z_-][\w-]*|"[^"]*"|'[^']*')\s*)?\Z""")
_WEIGHTS = frozenset({"bold", "bolder", "lighter", *(str(weight) for weight in range(100, 901, 100))})
_NAMED_SIZES = frozenset(
    {"xx-small", "x-small", "small", "medium", "large", "x-large", "xx-large", "larger", "smaller"}
)


def known_selectors(prelude: Iterable[Any]) -> str:
    """Return the selectors of a list that are valid in CSS Level 3.

    A browser drops a whole rule with one unknown selector (CSS Selectors Level 3, section 5); here the others survive.
    """
    parts = ("".join(tinycss2.serialize(part)).strip() for part in split(prelude) if _is_known(part))
    return ", ".join(part for part in parts if part)


def split(tokens: Iterable[Any]) -> list[list[Any]]:
    """Split at commas."""
    parts: list[list[Any]] = [[]]
    for token in tokens:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        elif token.type != "comment":
            parts[-1].append(token)
    return parts


def _is_known(tokens: Iterable[Any], *, within: bool = False) -> bool:
    for token in tokens:
        if token.type == "literal":
            right = token.value in _MARKS
        elif token.type == "[] block":
            right = _ATTRIBUTE.match(tinycss2.serialize(token.content)) is not None
        elif token.type == "function":
            right = not within and token.lower_name in _FUNCTIONS
            if token.lower_name == "not":
                right = right and _is_known(token.arguments, within=True)
        else:
            right = token.type in {"ident", "hash", "whitespace"}
        if not right:
            return False
    return True


def font_parts(value: str) -> Iterator[tuple[str, str]]:
    """Yield a ``font`` as separate properties (CSS Fonts Level 3, section 3.7); nothing if it is not valid.

    EPUB checkers reject sizes in ``rem`` in ``font``, but accept them in ``font-size``.
    """
    tokens = [token for token in tinycss2.parse_component_value_list(value) if token.type != "comment"]
    before: list[str] = []
    while tokens and not _is_size(tokens[0]):
        token = tokens.pop(0)
        if token.type not in {"ident", "number", "whitespace"}:
            return
        before.append(tinycss2.serialize([token]).strip().lower())
    if not tokens:
        return
    size = tinycss2.serialize([tokens.pop(0)])
    tokens = _stripped(tokens)
    height = "normal"
    if tokens and tokens[0].type == "literal" and tokens[0].value == "/":
        tokens = _stripped(tokens[1:])
        height = tinycss2.serialize([tokens.pop(0)]) if tokens else ""
    family = tinycss2.serialize(tokens).strip()
    if not family or not height:
        return
    yield "font-style", next((word for word in before if word in {"italic", "oblique"}), "normal")
    yield "font-variant", "small-caps" if "small-caps" in before else "normal"
    yield "font-weight", next((word for word in before if word in _WEIGHTS), "normal")
    yield from (("font-size", size), ("line-height", height), ("font-family", family))


def _is_size(token: Any) -> bool:
    return token.type in {"dimension", "percentage", "function"} or (
        token.type == "ident" and token.lower_value in _NAMED_SIZES
    )


def _stripped(tokens: list[Any]) -> list[Any]:
    return [token for at, token in enumerate(tokens) if at or token.type != "whitespace"]
