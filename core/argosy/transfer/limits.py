"""What a run may take at most: bytes of one file, room on the disk."""

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

#: Bytes of a file whose length nobody says, unless `max_size` is set.
UNKNOWN_SIZE = 10 * 10**9

#: The part of a disk that is kept free unless `disk_reserve` is set, and the most that this is, in bytes. It is for
#: what must be saved at the end: the session and the ledger.
RESERVED_PART = 0.01
MOST_RESERVED = 100 * 10**6

#: Bytes written between two looks at the room that is left.
LOOK_EVERY = 1 << 18


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run.

    Parameters
    ----------
    directory
        The target directory; its disk is the one that is looked at.
    max_size
        The most bytes of a file that the source promises no size of; None for no other limit than `UNKNOWN_SIZE`
        where the server does not say either.
    disk_reserve
        Bytes that are kept free; None for a hundredth of the disk, at most `MOST_RESERVED`.
    pages
        Whether an HTML page may have the name of another kind of file.
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

    def cap(self, promised: int | None, announced: int | None) -> int:
        """Return how many bytes a file may have.

        Parameters
        ----------
        promised
            Its size as the source has it.
        announced
            Its size as the server has it.

        Raises
        ------
        TransferError
            If the server announces more than may be taken; nothing of the body was read.
        """
        if promised is not None:
            return promised
        if self.max_size is not None and announced is not None and announced > self.max_size:
            raise TransferError(
                f"The server announces {size_text(announced)}, and at most {size_text(self.max_size)} are to be taken.",
                kind="too-large",
                hint='Raise "max_size" in the configuration, or give the size in the manifest.',
            )
        if announced is not None:
            return announced
        return UNKNOWN_SIZE if self.max_size is None else self.max_size

    def check_room(self, needed: int = 0) -> None:
        """Raise where the disk has no room for so many more bytes beside what is kept free.

        Raises
        ------
        StorageError
            If there is none, though there could be: somebody can make room.
        TransferError
            If the disk could not hold it even if it were empty.
        """
        whole, free, reserve = self._room()
        if needed <= free - reserve:
            return
        if needed > whole > 0:
            raise TransferError(
                f"The server announces {size_text(needed)}, which is more than the whole disk can hold.",
                kind="too-large",
            )
        raise self._full(free, reserve, f"{size_text(needed)} more" if needed > 0 else "more")

    def check_plan(self, needed: int) -> None:
        """Raise where the disk has no room for what a plan promises, less what is staged of it already.

        Raises
        ------
        StorageError
            If so; nothing was sent yet.
        """
        _, free, reserve = self._room()
        if needed > free - reserve and needed - staged_bytes(self.directory) > free - reserve:
            raise self._full(free, reserve, f"{size_text(needed)} for what is to be done")

    def _room(self) -> tuple[int, int, int]:
        """Return the bytes of the whole disk, those that are free, and those that must stay free."""
        disk = os.statvfs(self.directory)
        whole, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        reserve = self.disk_reserve
        if reserve is None:
            reserve = min(int(whole * RESERVED_PART), MOST_RESERVED)
        return whole, free, reserve

    def _full(self, free: int, reserve: int, wanted: str) -> StorageError:
        return StorageError(
            f"{self.directory} has {size_text(free)} left, of which {size_text(reserve)} are kept free; "
            f"needed is {wanted}.",
            hint='Make room, then start again: everything done so far is kept. "disk_reserve" says what is kept free.',
        )
