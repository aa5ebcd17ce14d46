"""Reads a configuration file: JSON or TOML, by its extension."""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from argosy.errors import ConfigError
from argosy.files import read_file

#: The largest configuration that is read.
MAX_BYTES = 10 * 1024 * 1024

#: Keys of a hundred parts: tomllib's time for them grows with the square of their number.
_DEEP = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){100}""")

#: What a URL becomes that is taken for a path.
_URL = re.compile(r"(^|/)[A-Za-z][A-Za-z0-9+.-]+:/")


def load_file(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Parameters
    ----------
    path
        A file whose name ends in ``.json`` or ``.toml``.

    Returns
    -------
    dict
        Its content, not checked yet.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not of the format its name promises.
    """
    kind = path.suffix.lower()
    if kind not in (".json", ".toml"):
        if _URL.search(str(path)):
            raise ConfigError(
                "A URL was given where a configuration file is needed (it is not shown, as it may have a password in it).",
                hint="Give the path of the file; the URL of a target directory stands in it, or behind --directory.",
            )
        raise ConfigError(
            f"{path} ends neither in .json nor in .toml, so its format is not known.",
            hint="Name the configuration something.toml or something.json.",
        )
    text = _read(path)
    if kind == ".toml" and _DEEP.search(text):
        raise ConfigError(f"{path} is nested too deeply to be read.")
    try:
        value = _parse_json(text) if kind == ".json" else tomllib.loads(text, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{path} is not valid JSON: {error.msg} ({where}).") from None
    except _NotAllowed as error:
        raise ConfigError(f"{path}: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply to be read.") from None
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits in either format
        raise ConfigError(f"{path} is not valid {kind[1:].upper()}: {error}.") from None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path} does not hold an object.", hint='A configuration looks like {"source": {...}, ...}.'
        )
    return value


class _NotAllowed(ValueError):
    """Well-formed, but not in a configuration."""


def _read(path: Path) -> str:
    try:
        return read_file(path, MAX_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"The configuration {path} does not exist.",
            hint="`argosy config new FILE` writes one to start from.",
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"The configuration {path} is a folder, not a file.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The configuration {path} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"The configuration {path} cannot be read: {reason}.") from None


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constant, parse_float=_finite)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, part in pairs:
        if key in value:
            raise _NotAllowed(f"the key {key!r} stands twice in one object, and only one could count")
        value[key] = part
    return value


def _no_constant(word: str) -> float:
    raise _NotAllowed(f"{word} is not a number that a configuration can hold")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise _NotAllowed(f"{word} is not a number that a configuration can hold")
    return number
