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
    """What the core tells a plugin about the run it is made for.

    .. versionadded:: 0.1

    Parameters
    ----------
    base
        The folder relative paths in the configuration are relative to.
    directory
        The target directory of the run; of a remote one, the local folder that the run works in.
    ask
        Asks the person for a secret by a prompt, or None where nobody can be asked.
    ask_now
        Asks the person while a login waits for the answer; None where nobody sits and waits for it. Only
        ``argosy login`` has it: a download may need a login at any hour, and everybody waits for that.
    on_secret
        Told every secret that is resolved, so that it can be redacted.
    notice
        Tells the person something.
    attended
        Whether a person is logging in right now and reads what `notice` says, even if there is no terminal to
        answer questions on: in ``argosy login``.
    """

    base: Path = field(default_factory=Path.cwd)
    directory: Path = field(default_factory=Path.cwd)
    ask: Callable[[str], str] | None = None
    on_secret: Callable[[str], None] = lambda value: None
    notice: Callable[[str], None] = lambda message: None
    ask_now: Callable[[str], str] | None = None
    attended: bool = False

    def path(self, value: str) -> Path:
        """Return a path of the configuration, absolute, with ``~`` expanded."""
        return (self.base / Path(value).expanduser()).absolute()

    def secret(self, value: str | Mapping[str, Any]) -> Secret:
        """Resolve a secret of the configuration: ``{"env": NAME}``, ``{"file": PATH}``, ...

        Raises
        ------
        ConfigError
            If the place it names has no such secret.
        """
        secret = resolve(value, base=self.base, ask=self.ask)
        self.on_secret(secret.reveal())
        return secret


class Plugin(ABC):
    """The base of every plugin class.

    A plugin's class carries `name`, `summary` and `options_schema`; the core validates the configuration
    against the schema, fills in the defaults that stand in it, and only then makes the plugin.

    .. versionadded:: 0.1

    Parameters
    ----------
    options
        The plugin's options from the configuration, valid by `options_schema`, with its defaults filled in.
    context
        The run it is made for.
    """

    #: The name the configuration uses: lower case, digits and hyphens.
    name: ClassVar[str]
    #: One line for ``argosy plugins``.
    summary: ClassVar[str]
    #: JSON Schema (draft 2020-12) of the options: ``{"type": "object", "properties": {...}}``. An option that is
    #: a secret refers to ``argosy:common#/$defs/secret``.
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}}
    #: Whether it may still change, or misbehave; a run that uses it says so.
    experimental: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        self.options = options
        self.context = context

    def check(self) -> None:  # noqa: B027 - most options are checked when the plugin is made
        """Raise what can be seen to be wrong before a run begins, such as a file that does not exist.

        ``argosy config check`` calls it, after the plugin was made. It asks nobody, and changes nothing.

        .. versionadded:: 0.1

        Raises
        ------
        ArgosyError
            With what is wrong, and a hint what to do.
        """

    def close(self) -> None:  # noqa: B027 - a plugin that holds nothing needs no close
        """Give back what the plugin holds; called once, at the end, in the process that made it."""
