"""A cookie store as a person names it: by a configuration, by its plugin's name, or by its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.config.load import load
from argosy.config.settings import PluginOptions
from argosy.errors import ConfigError
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

#: What a person may write.
FORMS = 'a configuration file, NAME, NAME:PATH, or {"use": NAME, ...}'


def store_options(
    given: str | Path | Mapping[str, Any], registry: PluginManager
) -> tuple[PluginOptions, Path]:
    """Return the options of a store, valid, and the folder that their relative paths are relative to.

    Parameters
    ----------
    given
        ``"argosy.toml"`` (the cookie store of that configuration), ``"sqlite"``, ``"sqlite:cookies.sqlite"``,
        ``'{"use": "sqlite", "path": "cookies.sqlite"}'`` or a mapping like that.
    registry
        The installed plugins.

    Raises
    ------
    ConfigError
        If it is none of these, or is not valid.
    """
    if isinstance(given, Path) or (isinstance(given, str) and _is_file(given, registry)):
        if not Path(given).is_file():
            raise ConfigError(
                f"There is no file {str(given)!r}, and no cookie store is called so.",
                hint=f"Name a store by {FORMS}. Installed: {', '.join(registry.names(Kind.COOKIE_STORE))}.",
            )
        settings = load(given, registry)
    else:
        options = given if isinstance(given, Mapping) else _options(given, registry)
        settings = load({"cookie_store": dict(options)}, registry)
    return settings.cookie_store, settings.base


def _is_file(given: str, registry: PluginManager) -> bool:
    return not given.lstrip().startswith("{") and given.partition(":")[0] not in registry.names(
        Kind.COOKIE_STORE
    )


def _options(given: str, registry: PluginManager) -> Mapping[str, Any]:
    if not given.lstrip().startswith("{"):
        name, colon, path = given.partition(":")
        takes_path = "path" in registry.find(Kind.COOKIE_STORE, name).options_schema.get("properties", {})
        if colon and not takes_path:
            raise ConfigError(
                f"The cookie store {name!r} has no path.",
                hint=f'Give its options as JSON: {{"use": "{name}", ...}}; `argosy plugins` lists them.',
            )
        return {"use": name, "path": path} if colon else {"use": name}
    try:
        options = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"The options of a cookie store are not JSON: {error}.",
            hint='A shell needs quotes around them: \'{"use": "sqlite", "path": "cookies.sqlite"}\'',
        ) from None
    return dict(options)  # it begins with a brace
