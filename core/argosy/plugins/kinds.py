"""The kinds of plugins, and what is known of one plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from argosy import hookspecs
from argosy.interfaces.base import Plugin

P = TypeVar("P", bound=Plugin)


class Kind(StrEnum):
    """The kinds of plugins; each has one hook in `argosy.hookspecs`."""

    SOURCE = "source"
    AUTH = "auth"
    COOKIE_STORE = "cookie_store"
    STRATEGY = "strategy"
    OUTPUT = "output"
    OBSERVER = "observer"

    @property
    def hook(self) -> str:
        """The name of the kind's hook."""
        return f"argosy_{self.value}"

    @property
    def words(self) -> str:
        """The kind as it stands in a sentence."""
        return self.value.replace("_", " ")

    @property
    def article(self) -> str:
        """The article in front of `words`."""
        return "an" if self.value[0] in "aeiou" else "a"

    @property
    def contract(self) -> type[Plugin]:
        """The class that every plugin of this kind extends."""
        hook: Callable[[], type[Plugin]] = getattr(hookspecs, self.hook)
        return contract_of(hook)


def contract_of(hook: Callable[[], type[P]]) -> type[P]:
    """Return the class that a hook's plugins extend; its annotation is the one place that says so."""
    contract: type[P] = get_args(get_type_hints(hook)["return"])[0]
    return contract


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin comes from.

    Parameters
    ----------
    distribution, version
        The installed distribution that registers it; for a plugin file, its path and nothing.
    entry_point
        The name it is registered by; for a plugin file, its name without ``.py``.
    file
        The plugin file (``--plugin``), absolute; None for what is installed.
    """

    distribution: str
    version: str
    entry_point: str
    file: Path | None = None

    @classmethod
    def of_file(cls, file: Path) -> Origin:
        """Return the origin of a plugin file."""
        return cls(str(file), "", file.stem, file)

    @property
    def pluggy_name(self) -> str:
        """The name the plugin manager knows it by: no two distributions share one."""
        return f"{self.distribution}:{self.entry_point}"

    @property
    def short(self) -> str:
        """The distribution and its version, or the file."""
        return f"{self.distribution} {self.version}" if self.file is None else str(self.file)

    @property
    def without(self) -> str:
        """What to do on the command line to go on without it."""
        if self.file is None:
            return f"--no-plugin {self.entry_point}"
        return f"leave out --plugin {self.file}"

    def __str__(self) -> str:
        if self.file is None:
            return f"{self.short} (entry point {self.entry_point!r})"
        return f"the file {self.file}"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What is known of one plugin without making it.

    Parameters
    ----------
    kind, name, summary
        What it is, what the configuration calls it, and its one line.
    origin
        Where it comes from.
    cls
        Its class.
    options_schema
        JSON Schema of its options.
    """

    kind: Kind
    name: str
    summary: str
    origin: Origin
    cls: type[Plugin]
    options_schema: Mapping[str, Any]

    @property
    def distribution(self) -> str:
        """The distribution that registers it."""
        return self.origin.distribution

    @property
    def version(self) -> str:
        """That distribution's version."""
        return self.origin.version

    @property
    def entry_point(self) -> str:
        """The name it is registered by."""
        return self.origin.entry_point

    def __str__(self) -> str:
        return f"the {self.kind.words} plugin {self.name!r} of {self.origin.short}"
