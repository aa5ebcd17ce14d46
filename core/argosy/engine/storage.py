"""Opening the storage of a target directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import Patience, Storage
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.storage.local import LocalStorage
from argosy.storage.location import Remote

_ALIASES = {"s3a": "s3", "ssh": "sftp"}


def open_storage(
    directory: Path,
    remote: Remote | None,
    plugins: PluginManager,
    context: PluginContext,
    patience: Patience | None = None,
) -> Storage:
    """Return the storage of a target directory, without connecting to it.

    The plugin named like the URL's scheme serves a remote one, or else ``fsspec``; its `directory` is the local folder.
    """
    if remote is None:
        return LocalStorage(directory)
    scheme = remote.url.partition("://")[0]
    name = _ALIASES.get(scheme, scheme)
    if plugins.get(Kind.STORAGE, name) is None:
        name = "fsspec"
    options = {"use": name, "url": remote.url, "options": remote.options}
    storage = plugins.make(Storage, options, replace(context, directory=directory))
    storage.patience = patience or storage.patience
    return storage
