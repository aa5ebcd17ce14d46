"""The kinds of plugins, and the facts about a plugin before it is created."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

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
    TRANSPORT = "transport"

    @property
    def hook(self) -> str:
        """The name of its hook."""
        return f"argosy_{self.value}"

    @property
    def words(self) -> str:
        """Its name in messages."""
        return "rate limit" if self is Kind.RATELIMIT else self.value.replace("_", " ")

    @property
    def interface(self) -> type[Plugin]:
        """The base class of its plugins, which the hook's annotation names."""
        interface: type[Plugin] = get_args(get_type_hints(getattr(hookspecs, self.hook))["return"])[0]
        return interface


class Origin(NamedTuple):
    """The source of a plugin: a distribution, a plugin file, or a class that a program gives."""

    distribution: str  # for a file, its path; for a class, its module
    version: str
    entry_point: str  # for a file, its name without ".py"; for a class, the name of the class
    file: Path | None = None  # the absolute path of a plugin file

    @property
    def short(self) -> str:
        """The distribution and its version, or the file."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def without(self) -> str:
        """How to run argosy without this plugin."""
        if self.file:
            return f"leave out --plugin {self.file}"
        return f"--no-plugin {self.distribution}:{self.entry_point}"

    def __str__(self) -> str:
        return self.short if self.file else f"{self.short} (entry point {self.entry_point!r})"


class PluginInfo(NamedTuple):
    """A plugin before it is created."""

    kind: Kind
    name: str
    summary: str
    origin: Origin
    cls: type[Plugin]
    options_schema: Mapping[str, Any]

    def __str__(self) -> str:
        return f"the {self.kind.words} plugin {self.name!r} of {self.origin.short}"
