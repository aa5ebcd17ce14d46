"""Turns what a program hands over into plain JSON values, and names what cannot be one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]

#: Deeper than any sensible configuration, and shallow enough for every recursion over it.
_DEEPEST = 50


def plain(value: Any) -> Any:
    """Return a copy of a value with mappings as dict, sequences as list and paths as text."""
    return _plain(value, _DEEPEST)


def _plain(value: Any, depth: int) -> Any:
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {key: _plain(part, depth - 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth - 1) for part in value]
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.fsdecode(path)
    return value


def foreign(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield the places whose value JSON does not have, each with what was found there."""
    if len(path) > _DEEPEST:
        yield path[:3], f"more than {_DEEPEST} levels, one within the other"
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(key, str):
                yield from foreign(part, (*path, key))
            else:
                yield path, f"a key of type {type(key).__name__}"
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from foreign(part, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value}, which is no finite number"
    elif value is not None and not isinstance(value, str | int | float | bool):
        yield path, f"a value of type {type(value).__name__}"
