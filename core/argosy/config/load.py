"""From a file, or a dictionary, to settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from argosy.config.check import check
from argosy.config.files import load_file
from argosy.config.remote import is_url, refuse_one_slash
from argosy.config.settings import Settings, absolute, build
from argosy.errors import ConfigError
from argosy.registry import Registry


def load(
    config: Path | str | Mapping[str, Any] | None,
    registry: Registry,
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
