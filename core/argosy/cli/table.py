"""The commands, and the module each is imported from when it is used."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.cli.lazy import Lazy

#: To add a command: one line here, with the attribute that holds its `click.Command`. The help text
#: stands here, so that ``argosy --help`` imports none of them.
COMMANDS: Mapping[str, Lazy] = {
    "config": Lazy("argosy.cli.config:config", "Check, explain or start a configuration."),
    "plugins": Lazy("argosy.cli.plugins:plugins", "List the installed plugins and their options."),
}
