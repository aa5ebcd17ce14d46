"""Reads a configuration, a JSON or TOML file or a mapping, and turns it into settings."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from argosy.config.check import check
from argosy.config.settings import Settings, absolute, build
from argosy.errors import ConfigError
from argosy.plugins.manager import PluginManager
from argosy.storage.location import is_url, refuse_one_slash
from argosy.toolkit.files import read_file

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
                "Expected a configuration file, got a URL (not shown, as it may contain a password).",
                hint="Give the path of the file; the URL of a target directory goes into it, or after --directory.",
            )
        raise ConfigError(
            f"{path} ends neither in .json nor in .toml.",
            hint="Rename it to something.toml or something.json.",
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
            raise _NotAllowed(f"duplicate key {key!r}")
        value[key] = part
    return value


def _no_constant(word: str) -> float:
    raise _NotAllowed(f"{word} is not a finite number")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise _NotAllowed(f"{word} is not a finite number")
    return number


def load(
    config: Path | str | Mapping[str, Any] | None,
    registry: PluginManager,
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> Settings:
    """Return the settings of a run.

    Parameters
    ----------
    config
        The path of a JSON or TOML file, a mapping of the same shape, or None for the defaults alone.
    registry
        The installed plugins.
    overrides
        Top-level keys that replace those of `config` whole. A relative ``directory`` among them is relative
        to the current directory; a URL keeps the options that `config` has for storage of its kind.

    Raises
    ------
    ConfigError
        If the file cannot be read, or the configuration is not valid; it holds *all* the problems.
    """
    path = None if config is None or isinstance(config, Mapping) else Path(config).absolute()
    base = path.parent if path else Path.cwd()
    document: Mapping[str, Any] = {}
    if path is not None:
        document = load_file(path)
    elif isinstance(config, Mapping):
        document = config
    merged = {**document, **overrides}
    if is_url(overrides.get("directory")):
        merged["directory"] = _with_options(str(overrides["directory"]), document.get("directory"))
    name = str(config) if path else "configuration"
    problems = check(merged, registry, name, overrides=tuple(overrides))
    if problems:
        raise ConfigError(f"The {'configuration ' if path else ''}{name} is not valid.", tuple(problems))
    given = overrides.get("directory")
    if isinstance(given, str | os.PathLike) and not is_url(given):
        refuse_one_slash(os.fspath(given))
        merged["directory"] = str(absolute(os.fspath(given), Path.cwd()))
    return build(merged, registry, base, path)


def _with_options(url: str, configured: object) -> str | dict[str, Any]:
    """Return a directory with the options that are configured for storage of its kind."""
    if not isinstance(configured, Mapping) or not isinstance(configured.get("url"), str):
        return url
    kinds = [text.partition("://")[0].lower() for text in (url, configured["url"])]
    return {**configured, "url": url} if kinds[0] == kinds[1] else url
