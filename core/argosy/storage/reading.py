"""Reading many files of a shelf again, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argosy.interfaces.storage import Storage
from argosy.models.items import PublishedFile

Owner = TypeVar("Owner")

#: Files of a remote storage that are read at once: their answers take long to come. A disk reads best one by one.
REMOTE, LOCAL = 8, 1


def problems(
    storage: Storage, files: Iterable[tuple[Owner, PublishedFile]], at_once: int
) -> Iterator[tuple[Owner, PublishedFile, str | None]]:
    """Read files from their beginning to their end, and yield what is wrong with each, or None, in their order.

    Parameters
    ----------
    shelf
        Where they stand.
    files
        Whose each is, and the file; taken as they are needed, as there may be very many.
    at_once
        How many are read at once.

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
