"""The JSON Schemas of argosy's files, as package data."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

_SUFFIX = ".json"


def names() -> tuple[str, ...]:
    """Return the names of the schemas, sorted: ``config.v1``, ``report.v1``, ..."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def load(name: str) -> dict[str, Any]:
    """Return a new copy of one schema.

    Parameters
    ----------
    name
        One of `names`.

    Raises
    ------
    KeyError
        If it does not exist.
    """
    if name not in names():
        raise KeyError(name)
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(name + _SUFFIX).read_text("utf-8"))
    return schema
