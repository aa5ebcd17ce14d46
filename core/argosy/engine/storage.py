"""Opening the storage of a target directory."""

from __future__ import annotations

from argosy.config.location import Remote
from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import Storage
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

_ALIASES = {"s3a": "s3", "ssh": "sftp"}


def open_storage(remote: Remote | None, plugins: PluginManager, context: PluginContext) -> Storage:
    """Return the storage of a local or remote target directory, without connecting to it."""
    if remote is None:
        return plugins.make(Storage, {"use": "folder"}, context)
    scheme = remote.url.partition("://")[0]
    name = _ALIASES.get(scheme, scheme)
    if plugins.get(Kind.STORAGE, name) is None:
        name = "fsspec"
    return plugins.make(Storage, {"use": name, "url": remote.url, "options": remote.options}, context)
