"""Loads a configuration: a JSON or TOML file, or a mapping, with the overrides of the command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from argosy.config.location import is_url
from argosy.config.schema import check, is_trivial
from argosy.config.settings import Settings, absolute, build
from argosy.errors import ConfigError
from argosy.plugins.manager import PluginManager
from argosy.toolkit.files import read_file

_MAX_BYTES = 10 * 1024 * 1024
#: A URL as a path, which has lost a slash.
_URL = re.compile(r"(^|/)[A-Za-z][A-Za-z0-9+.-]+:/")


def load(
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    plugins: PluginManager,
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> Settings:
    """Return the settings for a file, a mapping, or None for the defaults; `overrides` replace top-level keys.

    None among the overrides removes a key.
    A relative ``directory`` among the overrides is relative to the current directory; a URL keeps the options that the
    configuration has for storage of its kind. A ConfigError holds all problems.
    """
    path: Path | None = None
    if config is None or isinstance(config, Mapping):
        document = json.loads(
            json.dumps(config or {}, default=lambda it: dict(it) if isinstance(it, Mapping) else str(it))
        )
    else:
        path = Path(config).absolute()
        document = load_file(path)
    merged = {
        key: value for key, value in {**document, **overrides}.items() if value is not None or key not in overrides
    }
    if isinstance(profile := merged.get("profile"), str):
        from argosy.plugins.services import known  # most configurations have no profile

        if profile in known()[0]:
            merged = {**known()[0][profile].settings, **merged}
    directory, configured = overrides.get("directory"), document.get("directory")
    if is_url(directory):
        protocol = directory.partition("://")[0].lower()
        if isinstance(configured, Mapping) and str(configured.get("url")).lower().startswith(f"{protocol}://"):
            merged["directory"] = {**configured, "url": directory}
    elif isinstance(directory, str | os.PathLike):
        merged["directory"] = str(absolute(os.fspath(directory), Path.cwd()))
    name = str(config) if path else "configuration"
    # importing jsonschema takes half as long as importing requests
    skip = config is None and is_trivial(merged, plugins)
    problems = [] if skip else check(merged, plugins, name, overrides=tuple(overrides))
    if problems:
        raise ConfigError(f"The {'configuration ' if path else ''}{name} is not valid.", tuple(problems))
    return build(merged, plugins, path.parent if path else Path.cwd(), path)


def load_file(path: Path) -> dict[str, Any]:
    """Read a ``.json`` or ``.toml`` file; raise a ConfigError if that fails. Its content is not checked."""
    kind = path.suffix.lower()
    if kind not in (".json", ".toml"):
        if _URL.search(str(path)):
            message = "Expected a configuration file, got a URL (not shown, as it may contain a password)."
            raise ConfigError(message, hint="Set the URL of a target directory in a file, or with --directory.")
        raise ConfigError(f"{path} must end in .json or .toml.")
    import tomllib

    try:
        text = read_file(path, _MAX_BYTES).decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_unique_keys) if kind == ".json" else tomllib.loads(text)
    except OSError as error:
        hint = "`argosy init FILE` creates one." if isinstance(error, FileNotFoundError) else None
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.", hint=hint) from None
    except (ValueError, RecursionError) as error:  # both formats name the line and column
        raise ConfigError(f"{path} is not valid {kind[1:].upper()}: {error}.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must contain a JSON object.")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, part in pairs:
        if key in value:
            raise ValueError(f"duplicate key {key!r}")
        value[key] = part
    return value
