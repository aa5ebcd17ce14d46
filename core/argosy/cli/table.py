"""The commands, and the module each is imported from when it is used."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.cli.lazy import Lazy

#: To add a command: one line here, with the attribute that holds its `click.Command`. The help text
#: stands here, so that ``argosy --help`` imports none of them.
COMMANDS: Mapping[str, Lazy] = {
    "download": Lazy("argosy.cli.download:download", "Download the items of a configuration, or of URLs."),
    "login": Lazy("argosy.cli.login:login", "Log in, and keep the session."),
    "logout": Lazy("argosy.cli.logout:logout", "End the session, and forget it."),
    "output": Lazy("argosy.cli.output:output", "Make other outputs of what is downloaded already."),
    "status": Lazy("argosy.cli.status:status", "Show what is done, what failed, and the sessions."),
    "session": Lazy("argosy.cli.session:session", "Move sessions to another store, and make keys."),
    "verify": Lazy("argosy.cli.verify:verify", "Read every finished file again."),
    "config": Lazy("argosy.cli.config:config", "Check, explain or start a configuration."),
    "plugins": Lazy("argosy.cli.plugins:plugins", "List the installed plugins and their options."),
    "plugin": Lazy("argosy.cli.plugin:plugin", "Start a plugin of your own."),
    "demo": Lazy("argosy.cli.demo:demo", "See it work against a local library."),
}
