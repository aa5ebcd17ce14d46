"""The limits of one run: bytes per file, and free disk space."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from argosy.errors import StorageError, TransferError
from argosy.state.staging import staged_bytes
from argosy.toolkit.login_pages import takes_pages
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from argosy.config.settings import Settings

#: The largest file whose size neither the source nor the server gives, in bytes, unless `max_size` is set.
UNKNOWN_SIZE = 10 * 10**9

#: The default of `disk_reserve`: this share of the disk, and at most so many bytes. The session and the ledger must
#: still fit at the end.
RESERVED_SHARE = 0.01
MAX_RESERVED = 100 * 10**6

#: Bytes written between two checks of the free space.
CHECK_EVERY = 1 << 18


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run.

    Parameters
    ----------
    directory
        The target directory; its disk is checked.
    max_size
        The largest file that the source promises no size for, in bytes; None for no limit (`UNKNOWN_SIZE` if the
        server does not announce its length either).
    disk_reserve
        Bytes to keep free; None for 1% of the disk, at most `MAX_RESERVED`.
    pages
        Accept an HTML page in place of another kind of file.
    """

    directory: Path
    max_size: int | None = None
    disk_reserve: int | None = None
    pages: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that a configuration sets."""
        return cls(
            settings.directory, settings.max_size, settings.disk_reserve, pages=takes_pages(settings.auth)
        )

    def max_bytes(self, promised: int | None, announced: int | None) -> int:
        """Return how many bytes a file may have.

        Parameters
        ----------
        promised, announced
            Its size according to the source and to the server, in bytes.

        Raises
        ------
        TransferError
            If the server announces more than `max_size`.
        """
        if promised is not None:
            return promised
        if announced is None:
            return UNKNOWN_SIZE if self.max_size is None else self.max_size
        if self.max_size is not None and announced > self.max_size:
            raise TransferError(
                f"Too large: {size_text(announced)}; the limit is {size_text(self.max_size)}.",
                kind="too-large",
                hint='Raise "max_size" in the configuration, or give the size in the manifest.',
            )
        return announced

    def check_room(self, needed: int = 0) -> None:
        """Check that so many more bytes fit on the disk, beside the reserve.

        Raises
        ------
        StorageError
            If they do not fit now.
        TransferError
            If they would not fit on the empty disk.
        """
        total, free, reserve = self._space()
        if needed <= free - reserve:
            return
        if needed > total > 0:
            raise TransferError(
                f"Too large: {size_text(needed)}; the whole disk has {size_text(total)}.", kind="too-large"
            )
        raise self._full(free, reserve, f"{size_text(needed)} more" if needed > 0 else "more")

    def check_plan(self, needed: int) -> None:
        """Check that the promised bytes of a plan fit, less the bytes staged already.

        Raises
        ------
        StorageError
            If they do not fit; nothing was sent yet.
        """
        _, free, reserve = self._space()
        if needed > free - reserve and needed - staged_bytes(self.directory) > free - reserve:
            raise self._full(free, reserve, f"{size_text(needed)} for this run")

    def _space(self) -> tuple[int, int, int]:
        """Return the size of the disk, its free bytes, and the reserve."""
        disk = os.statvfs(self.directory)
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        reserve = self.disk_reserve
        if reserve is None:
            reserve = min(int(total * RESERVED_SHARE), MAX_RESERVED)
        return total, free, reserve

    def _full(self, free: int, reserve: int, wanted: str) -> StorageError:
        return StorageError(
            f"Not enough disk space in {self.directory}: {size_text(free)} left ({size_text(reserve)} reserved), "
            f"{wanted} needed.",
            hint='Free some space and start again; finished work is kept. "disk_reserve" sets the reserve.',
        )
