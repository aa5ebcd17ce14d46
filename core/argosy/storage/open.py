"""Opens the storage of a target directory, and verifies its files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import Patience, Storage
from argosy.models.items import PublishedFile
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.storage.local import LocalStorage
from argosy.storage.location import Remote

Owner = TypeVar("Owner")

#: Files of a remote storage to read at once, as latency dominates; a disk is fastest with one.
REMOTE, LOCAL = 8, 1

_ALIASES = {"s3a": "s3", "ssh": "sftp"}


def open_storage(
    directory: Path,
    remote: Remote | None,
    plugins: PluginManager,
    context: PluginContext,
    patience: Patience | None = None,
) -> Storage:
    """Return the storage of a target directory, without connecting to it.

    Parameters
    ----------
    directory
        The local folder.
    remote
        The remote directory, or None. The plugin named like its URL's scheme serves it, or else ``fsspec``.
    plugins, context
        Create the plugin.
    patience
        How to repeat calls that failed.

    Raises
    ------
    ConfigError
        If the plugin is not installed.
    """
    if remote is None:
        return LocalStorage(directory)
    name = _ALIASES.get(remote.protocol, remote.protocol)
    if plugins.get(Kind.STORAGE, name) is None:
        name = "fsspec"
    options = {"use": name, "url": remote.url, "options": remote.options}
    storage = plugins.make(Storage, options, replace(context, base=remote.base, directory=directory))
    storage.patience = patience or storage.patience
    return storage


def problems(
    storage: Storage, files: Iterable[tuple[Owner, PublishedFile]], at_once: int
) -> Iterator[tuple[Owner, PublishedFile, str | None]]:
    """Read whole files, and yield what is wrong with each, or None, in their order.

    Parameters
    ----------
    storage
        The storage.
    files
        Each file with its owner. The iterable may be very long; it is read as needed.
    at_once
        How many files to read at once.

    Raises
    ------
    StorageError
        If the storage fails.
    """
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="argosy-verify")
    begun: deque[tuple[Owner, PublishedFile, Future[str | None]]] = deque()
    try:
        for owner, file in files:
            begun.append((owner, file, pool.submit(storage.problem, file)))
            if len(begun) > at_once:
                first, kept, future = begun.popleft()
                yield first, kept, future.result()
        for first, kept, future in begun:
            yield first, kept, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
