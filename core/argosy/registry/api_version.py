"""The version of the plugin API: which plugins this argosy can use.

It is one whole number. It goes up when something that plugins use is taken away or changes its meaning; what is
added does not raise it. A plugin says which one it was written for (`argosy.Plugin.argosy_api`).
"""

from __future__ import annotations

import warnings

from argosy.errors import PluginError
from argosy.registry.kinds import Origin

#: The plugin API of this argosy.
CURRENT = 1
#: The oldest one whose plugins still work. One that is dropped is deprecated for a release at least.
OLDEST = 1


class PluginDeprecationWarning(DeprecationWarning):
    """A plugin uses what will be taken away; pytest shows it to the plugin's author.

    .. versionadded:: 0.1
    """


def check_api(origin: Origin, cls: type, *, oldest: int = OLDEST, current: int = CURRENT) -> None:
    """See whether a plugin was written for a plugin API that this argosy has.

    Parameters
    ----------
    origin
        Where it comes from.
    cls
        Its class.
    oldest, current
        The versions that there are.

    Raises
    ------
    PluginError
        If it was not.
    """
    wanted: object = getattr(cls, "argosy_api", 1)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise _refused(
            origin,
            f"A plugin of {origin} is broken: its argosy_api is {wanted!r}, where a whole number is wanted.",
            "Tell its author",
        )
    known = f"{current}" if oldest == current else f"{oldest} to {current}"
    if wanted > current:
        raise _refused(
            origin,
            f"A plugin of {origin} was written for plugin API {wanted}, and this argosy has {known}.",
            "Install a newer argosy (pip install --upgrade argosy)",
        )
    if wanted < oldest:
        raise _refused(
            origin,
            f"A plugin of {origin} was written for plugin API {wanted}, and this argosy has {known}.",
            f"Install a newer version of {origin.short}",
        )
    if wanted < current:
        warnings.warn(
            f"A plugin of {origin} was written for plugin API {wanted}; this argosy has {current}, and "
            f"{wanted} will be dropped. docs/plugins/stability.md says what has changed.",
            PluginDeprecationWarning,
            stacklevel=2,
        )


def _refused(origin: Origin, message: str, what_to_do: str) -> PluginError:
    return PluginError(
        message,
        hint=f"{what_to_do}, or go on without it: {origin.without}",
        plugin=origin.entry_point,
        distribution=origin.distribution,
    )
