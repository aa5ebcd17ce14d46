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

    #: The folder of relative paths in the configuration.
    base: Path = field(default_factory=Path.cwd)
    #: The target directory, or the local folder of a remote one.
    directory: Path = field(default_factory=Path.cwd)
    #: Asks the person for a secret; None without a terminal.
    ask: Callable[[str], str] | None = None
    #: Receives every resolved secret, to redact it.
    on_secret: Callable[[str], None] = lambda value: None
    #: Tells the person something.
    notice: Callable[[str], None] = lambda message: None
    #: Asks the person during a login; only ``argosy login`` has it, as a download may log in at any hour.
    ask_now: Callable[[str], str] | None = None
    #: Whether a person is logging in and reads notices, even without a terminal (``argosy login``).
    attended: bool = False

    def path(self, value: str) -> Path:
        """Return a path of the configuration, absolute, with ``~`` expanded."""
        return (self.base / Path(value).expanduser()).absolute()

    def secret(self, value: str | Mapping[str, Any]) -> Secret:
        """Resolve a secret of the configuration, such as ``{"env": NAME}``; raise a `ConfigError` if it is missing."""
        secret = resolve(value, base=self.base, ask=self.ask)
        self.on_secret(secret.reveal())
        return secret


class Plugin(ABC):
    """The base of all plugin classes.

    argosy validates the options against `options_schema`, and adds its defaults.
    """

    #: The name in configurations: lower-case letters, digits and hyphens.
    name: ClassVar[str]
    #: One line for ``argosy plugins``.
    summary: ClassVar[str]
    #: JSON Schema (draft 2020-12) of the options: ``{"type": "object", "properties": {...}}``. A secret option refers
    #: to ``argosy:common#/$defs/secret``.
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}}
    #: Whether it may still change or misbehave; a run that uses it says so.
    experimental: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        self.options = options
        self.context = context

    def check(self) -> None:  # noqa: B027 - most options are checked when the plugin is created
        """Raise an `ArgosyError` for problems that are visible before a run, such as missing files.

        It must not ask questions or change anything.
        """

    def close(self) -> None:  # noqa: B027 - many plugins hold nothing
        """Release resources; called once, at the end, in the process that created the plugin."""
