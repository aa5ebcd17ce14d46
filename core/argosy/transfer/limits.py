"""The limits of one run: bytes per file, and free disk space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from argosy.errors import StorageError, TransferError, VerificationError
from argosy.state.staging import staged_bytes
from argosy.toolkit.login_pages import takes_pages
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from argosy.config.settings import Settings

#: The default of `max_size` for a file whose length the server does not announce either, in bytes.
UNKNOWN_SIZE = 10 * 10**9

#: The default of `disk_reserve`: a share of the disk, and at most this many bytes. The session and the ledger must fit.
RESERVED_SHARE, MAX_RESERVED = 0.01, 100 * 10**6

#: Bytes written between two checks of the free space.
CHECK_EVERY = 1 << 18


class Limits:
    """The limits of one run, as the configuration sets them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Whether an HTML page may come instead of another kind of file.
        self.pages = takes_pages(settings.auth)

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

    def check_room(self, needed: int = 0) -> None:
        """Raise StorageError if the bytes do not fit beside the reserve; TransferError if the whole disk is smaller."""
        total, free = self._space()
        if needed <= free:
            return
        if needed > total > 0:
            raise TransferError(f"Too large for the disk: {size_text(needed)}.", kind="too-large")
        raise self._full(needed, free)

    def check_plan(self, needed: int) -> None:
        """Raise StorageError if the promised bytes of a plan, less the staged ones, do not fit."""
        _, free = self._space()
        if needed > free and needed - staged_bytes(self.settings.directory) > free:
            raise self._full(needed, free)

    def _space(self) -> tuple[int, int]:
        """Return the size of the disk, and the free bytes beyond the reserve."""
        disk = os.statvfs(self.settings.directory)
        total = disk.f_blocks * disk.f_frsize
        reserve = self.settings.disk_reserve
        if reserve is None:
            reserve = min(int(total * RESERVED_SHARE), MAX_RESERVED)
        return total, disk.f_bavail * disk.f_frsize - reserve

    def _full(self, needed: int, free: int) -> StorageError:
        sizes = f"{size_text(needed)} needed, {size_text(max(free, 0))} available"
        return StorageError(
            f"Not enough disk space in {self.settings.directory}: {sizes}.",
            hint='Free some space and start again; finished work is kept. "disk_reserve" sets how much stays free.',
        )


def too_large(what: str) -> VerificationError:
    """Return the error of a file whose size the source does not promise."""
    hint = 'Raise "max_size" in the configuration, or give the size in the manifest.'
    return VerificationError(f"Too large: {what}.", kind="too-large", hint=hint)
