"""Names the plugin whose code failed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from argosy.errors import ArgosyError, PluginError
from argosy.interfaces.base import Plugin
from argosy.toolkit.failures import DISK_ERRNOS, describe_exception


@contextlib.contextmanager
def plugin_errors(
    kind: str, plugin: Plugin, hint: str = "Report it to the plugin's author."
) -> Iterator[None]:
    """Turn an exception of a plugin into a PluginError; argosy's own errors and those of a broken disk pass."""
    try:
        yield
    except ArgosyError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise
        what = describe_exception(error, plugin)
        raise PluginError(
            f"The {kind} {plugin.name!r} failed: {what}.", hint=hint, plugin=plugin.name
        ) from None
