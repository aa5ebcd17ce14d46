"""The kinds of plugins, and what is known about one plugin before it is created."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from argosy import hookspecs
from argosy.interfaces.base import Plugin


class Kind(StrEnum):
    """The kinds of plugins. Each has one hook in `argosy.hookspecs` and one interface in `argosy.interfaces`."""

    SOURCE = "source"
    AUTH = "auth"
    COOKIE_STORE = "cookie_store"
    STRATEGY = "strategy"
    OUTPUT = "output"
    OBSERVER = "observer"
    STORAGE = "storage"
    RATELIMIT = "ratelimit"

    @property
    def hook(self) -> str:
        """The name of the kind's hook."""
        return f"argosy_{self.value}"

    @property
    def words(self) -> str:
        """The kind as a message names it."""
        return "rate limit" if self is Kind.RATELIMIT else self.value.replace("_", " ")

    @property
    def article(self) -> str:
        """The indefinite article of `words`."""
        return "an" if self.value[0] in "aeiou" else "a"

    @property
    def interface(self) -> type[Plugin]:
        """The class that every plugin of this kind extends; the hook's annotation names it."""
        hook: Callable[[], type[Plugin]] = getattr(hookspecs, self.hook)
        interface: type[Plugin] = get_args(get_type_hints(hook)["return"])[0]
        return interface


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin comes from.

    Parameters
    ----------
    distribution, version
        The installed distribution that registers it. For a plugin file: its path, and an empty string.
    entry_point
        The name of its entry point. For a plugin file: the file's name without ``.py``.
    file
        The absolute path of a plugin file (``--plugin``); None for an installed plugin.
    """

    distribution: str
    version: str
    entry_point: str
    file: Path | None = None

    @property
    def short(self) -> str:
        """The distribution and its version, or the file."""
        return f"{self.distribution} {self.version}" if self.file is None else str(self.file)

    @property
    def without(self) -> str:
        """How to run argosy without this plugin."""
        if self.file is None:
            return f"--no-plugin {self.distribution}:{self.entry_point}"
        return f"leave out --plugin {self.file}"

    def __str__(self) -> str:
        if self.file is None:
            return f"{self.short} (entry point {self.entry_point!r})"
        return f"the file {self.file}"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What is known about a plugin before it is created.

    Parameters
    ----------
    kind, name, summary
        Its kind, its name in a configuration, and one line about it.
    origin
        Where it comes from.
    cls
        Its class.
    options_schema
        The JSON Schema of its options.
    """

    kind: Kind
    name: str
    summary: str
    origin: Origin
    cls: type[Plugin]
    options_schema: Mapping[str, Any]

    def __str__(self) -> str:
        return f"the {self.kind.words} plugin {self.name!r} of {self.origin.short}"
