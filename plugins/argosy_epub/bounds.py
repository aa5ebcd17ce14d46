"""Limits on the resources for one chapter: 20 kB of markup can become a tree of a million elements."""

from __future__ import annotations

import time
from typing import Any

from justhtml.parser.engine import ParseEngine, compile_raw_engine_plan

#: The most elements in one chapter or drawing; they take about 300 MB and half a minute on a slow machine.
MOST_ELEMENTS = 250_000
#: The most seconds of CPU time to parse one: justhtml is quadratic for some markup (``<caption><details>``).
MOST_SECONDS = 60.0
#: Characters of attributes that count as one element.
_CHARACTERS = 200
#: Searching this many entries of the list of active formatting elements takes as long as creating an element.
_ENTRIES = 200


class TooComplex(Exception):
    """The markup creates too large a tree; the message names the limit."""


def tree_of(text: str) -> Any:
    """Return the root of the tree that a browser would create; raise TooComplex above the limits."""
    if text.count("<") > 2 * MOST_ELEMENTS:  # comments and text nodes count, too, and each follows one of these
        raise _too_many()
    return _Parser(text.removeprefix("\ufeff")).parse()


class _Parser(ParseEngine):
    """Counts the elements it makes.

    Unclosed ``<b>`` and the like are made again in each later paragraph (HTML, section 13.2.4.3, "the list of active
    formatting elements"), so the size of a text says nothing about the size of its tree. justhtml has no bound of its
    own and no hook for one: hence the private names, and the upper bound of its version in ``pyproject.toml``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(
            text,
            fragment=False,
            scripting_enabled=False,
            plan=compile_raw_engine_plan(False, False),
        )
        self._left = MOST_ELEMENTS
        self._end = time.thread_time() + MOST_SECONDS

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise _too_many()
        if time.thread_time() > self._end:
            raise TooComplex(f"its markup takes more than {MOST_SECONDS:.0f} seconds to parse")

    def _insert_raw_element(self, name: str, attrs: dict[str, str | None], *rest: Any, **more: Any) -> Any:
        self._spend(_cost(attrs))
        return super()._insert_raw_element(name, attrs, *rest, **more)

    def _clone_formatting_entry(self, entry: Any) -> Any:
        self._spend(_cost(entry.attrs))
        return super()._clone_formatting_entry(entry)

    def _adoption_agency(self, *args: Any, **options: Any) -> None:
        self._spend(len(self._active_formatting) // _ENTRIES)
        super()._adoption_agency(*args, **options)


def _cost(attributes: dict[str, str | None]) -> int:
    size = sum(len(name) + len(value or "") for name, value in attributes.items())
    return 1 + len(attributes) // 4 + size // _CHARACTERS


def _too_many() -> TooComplex:
    return TooComplex(f"its markup has more than {MOST_ELEMENTS:,} elements")
