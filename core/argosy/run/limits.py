"""What a run may take at most: bytes of one file, room on the disk, patience with a slow body."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import StorageError, TransferError
from argosy.run.text import size_text

#: Bytes of a file whose length nobody says, unless `max_size` is set.
UNKNOWN_SIZE = 10 * 10**9

#: The part of a disk that is kept free unless `disk_reserve` is set, and the most that this is, in bytes. It is for
#: what must be saved at the end: the session and the ledger.
RESERVED_PART = 0.01
MOST_RESERVED = 100 * 10**6

#: Bytes written between two looks at the room that is left.
LOOK_EVERY = 1 << 20


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
    low_speed
        Bytes per second that a body must bring on average; 0 for any.
    low_speed_time
        The seconds that this average is taken over.
    """

    directory: Path
    max_size: int | None = None
    disk_reserve: int | None = None
    low_speed: float = 0.0
    low_speed_time: float = 60.0

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
        disk = os.statvfs(self.directory)
        whole, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        reserve = self.disk_reserve
        if reserve is None:
            reserve = min(int(whole * RESERVED_PART), MOST_RESERVED)
        if needed <= free - reserve:
            return
        if needed > whole > 0:
            raise TransferError(
                f"The server announces {size_text(needed)}, which is more than the whole disk can hold.",
                kind="too-large",
            )
        wanted = f"{size_text(needed)} more and " if needed else ""
        raise StorageError(
            f"{self.directory} has {size_text(max(free, 0))} left, and {wanted}a reserve of {size_text(reserve)} "
            "are needed.",
            hint='Make room, then start again: everything done so far is kept. "disk_reserve" is what is kept free.',
        )
