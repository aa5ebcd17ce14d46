"""The limits of one run: bytes per file, and free disk space."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from argosy.errors import StorageError, TransferError, VerificationError
from argosy.state.staging import staged_bytes
from argosy.toolkit.pages import takes_pages
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from argosy.config.settings import Settings

#: The default of `max_size` for a file whose length the server does not announce either, in bytes.
UNKNOWN_SIZE = 10 * 10**9

#: The default of `disk_reserve`: a share of the disk, and at most this many bytes. The session and the ledger must fit.
RESERVED_SHARE, MAX_RESERVED = 0.01, 100 * 10**6

#: Bytes written between two checks of the free space.
CHECK_EVERY = 1 << 18

#: With so many bytes to spare, the free space is not looked at again for so many seconds.
AMPLE, AMPLE_SECONDS = 1 << 30, 0.1


class Limits:
    """The limits of one run, as the configuration sets them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Whether an HTML page may come instead of another kind of file.
        self.pages = takes_pages(settings.auth)
        self._checked = -math.inf  # when the free space was last looked at, on the monotonic clock
        self._free = 0.0  # then, beside the reserve

    def max_bytes(self, promised: int | None, announced: int | None) -> int:
        """Return how many bytes a file may have; raise VerificationError if the server announces too many."""
        if promised is not None:
            return promised
        limit = self.settings.max_size
        if announced is None:
            return UNKNOWN_SIZE if limit is None else limit
        if limit is not None and announced > limit:
            raise too_large(f"{size_text(announced)}; the limit is {size_text(limit)}")
        return announced

    def check_room(self, needed: int = 0, *, for_plan: bool = False) -> None:
        """Raise StorageError if a file, or a plan less the staged bytes, does not fit beside the reserve."""
        if needed + AMPLE <= self._free and time.monotonic() - self._checked < AMPLE_SECONDS:
            return
        directory, reserve = self.settings.directory, self.settings.disk_reserve
        disk = os.statvfs(directory)
        total = disk.f_blocks * disk.f_frsize
        if reserve is None:
            reserve = min(int(total * RESERVED_SHARE), MAX_RESERVED)
        free = disk.f_bavail * disk.f_frsize - reserve
        self._checked, self._free = time.monotonic(), free
        if needed <= free or (for_plan and needed - staged_bytes(self.settings.home) <= free):
            return
        if needed > total > 0 and not for_plan:
            raise TransferError(f"Too large for the disk: {size_text(needed)}.", kind="too-large")
        sizes = f"{size_text(needed)} needed, {size_text(max(free, 0))} available"
        hint = 'Free some space and start again; finished work is kept. "disk_reserve" sets how much stays free.'
        raise StorageError(f"Not enough disk space in {directory}: {sizes}.", hint=hint)


def too_large(what: str) -> VerificationError:
    """Return the error of a file whose size the source does not promise."""
    hint = 'Raise "max_size" in the configuration, or give the size in the manifest.'
    return VerificationError(f"Too large: {what}.", kind="too-large", hint=hint)
