"""What all plugins have in common: a name, a summary, options with a schema, and a context."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from argosy.toolkit.secrets import Secret, resolve


@dataclass(frozen=True)
class PluginContext:
    """The run that a plugin is created for."""

    base: Path = field(default_factory=Path.cwd)  # relative paths in the configuration are relative to it
    directory: Path = field(default_factory=Path.cwd)  # the target, or the local folder of a remote one
    ask: Callable[[str], str] | None = None  # asks the person for a secret; None without a terminal
    on_secret: Callable[[str], None] = lambda value: None  # receives every resolved secret, to redact it
    notice: Callable[[str], None] = lambda message: None  # tells the person something
    ask_now: Callable[[str], str] | None = None  # asks the person during ``argosy login``; None in a download
    attended: bool = False  # whether a person is logging in and reads notices (``argosy login``)

    def path(self, value: str) -> Path:
        """Return a path of the configuration, absolute, with ``~`` expanded."""
        return (self.base / Path(value).expanduser()).absolute()

    def secret(self, value: str | Mapping[str, Any]) -> Secret:
        """Resolve a secret of the configuration, such as ``{"env": NAME}``; raise a `ConfigError` if it is missing."""
        secret = resolve(value, base=self.base, ask=self.ask)
        self.on_secret(secret.reveal())
        return secret


class Plugin(ABC):
    """The base of all plugin classes. argosy validates the options, and adds their defaults."""

    name: ClassVar[str]  # in configurations: lower-case letters, digits and hyphens
    summary: ClassVar[str]  # one line for ``argosy plugins``
    #: JSON Schema (draft 2020-12) of the options. A secret option refers to ``argosy:common#/$defs/secret``.
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}}
    experimental: ClassVar[bool] = False  # whether it may still change or misbehave; a run says so

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        self.options = options
        self.context = context

    def check(self) -> None:  # noqa: B027 - most options are checked when the plugin is created
        """Raise an `ArgosyError` for problems visible before a run, such as missing files; ask and change nothing."""

    def close(self) -> None:  # noqa: B027 - many plugins hold nothing
        """Release resources; called once, at the end, in the process that created the plugin."""
