"""What is known about services beforehand: profiles of settings, and cookies that are not tokens.

A package has it in a file ``services.json``, and names itself in the entry-point group ``argosy.services``.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import pkgutil
import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from argosy.errors import PluginError

#: What a profile may set.
SETTINGS = frozenset({"lease", "on_doubt", "token_cookies"})


class Profile(NamedTuple):
    """What a service documents about its tokens, and the settings that follow from it."""

    title: str
    fact: str
    settings: Mapping[str, Any]
    why: str
    source: str  # a URL


@functools.lru_cache(maxsize=1)
def known() -> tuple[Mapping[str, Profile], re.Pattern[str]]:
    """Return the profiles by name, and a pattern for the names of cookies that are not tokens."""
    profiles: dict[str, Profile] = {}
    patterns: list[str] = []
    for entry_point in sorted(entry_points(group="argosy.services"), key=lambda entry_point: entry_point.value):
        try:
            data = json.loads(pkgutil.get_data(entry_point.module, "services.json") or b"")
            found = {name: Profile(**profile) for name, profile in data.get("profiles", {}).items()}
            if wrong := found.keys() & profiles or set().union(*(one.settings for one in found.values())) - SETTINGS:
                raise ValueError(f"they repeat a profile, or set what no profile may: {', '.join(sorted(wrong))}")
            patterns += [fnmatch.translate(name) for cookies in data.get("cookies", ()) for name in cookies["names"]]
        except (Exception, SystemExit) as error:
            text = f"The services of {entry_point.module} cannot be read: {type(error).__name__}: {error}."
            raise PluginError(text, hint="Repair or uninstall the package.") from error
        profiles |= found
    return profiles, re.compile("|".join(patterns) or "(?!)")


@functools.lru_cache(maxsize=1024)  # asked several times for each request
def is_known(cookie: str) -> bool:
    """Return whether a cookie of this name is not a token: it is of a load balancer, a bot wall or statistics."""
    return known()[1].match(cookie) is not None
