"""Keeping the files over all items up to date: an index, a catalogue, whatever a `CollectingOutput` makes.

The ledger is the truth. The files are made anew from it, under a lock that all runs in the target directory respect:
who makes them later has read a later ledger. Before a name is written to for the first time, the ledger says whose
it is; so a run that is killed at any moment leaves a whole file, old or new, and the next run sees which.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from argosy.engine.outputs import Outputs
from argosy.engine.publisher import Publisher
from argosy.errors import ArgosyError, PluginError, StorageError, TransferError
from argosy.interfaces.output import CollectingOutput
from argosy.models.items import FinishedItem, Item, Job, StagedItem
from argosy.state.ledger import Collected, Ledger
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import DISK_ERRNOS, describe_exception, disk_error
from argosy.toolkit.locks import FileLock

#: Seconds between two times that the files are made while items get done, at least.
EVERY = 2.0

#: It takes no more than this part of a run's time, however long the ledger.
PART = 0.05

#: Seconds that another run is waited for that makes the files at this moment.
PATIENCE = 30.0

_NOBODY = Item("", "")


class Aggregator:
    """Makes the files over all items of one run; used by one thread at a time.

    Parameters
    ----------
    outputs
        The outputs of the run.
    ledger
        The ledger of the target directory.
    staging
        Its staging.
    force
        Whether files that are not argosy's may be replaced.
    """

    def __init__(
        self,
        outputs: Outputs,
        ledger: Ledger,
        staging: StagingArea,
        *,
        force: bool = False,
    ) -> None:
        self._outputs = outputs.over_all
        self._ledger = ledger
        self._collected = Collected(ledger)
        self._staging = staging
        self._force = force
        self._lock = FileLock(ledger.private / "collect.lock")
        self._due = time.monotonic() + EVERY

    def item_done(self) -> None:
        """Make the files anew where it is time to, and nobody else is at it."""
        if self._outputs and time.monotonic() >= self._due:
            self._refresh(wait=False)

    def refresh(self) -> bool:
        """Make the files anew where items have been done since.

        Returns
        -------
        bool
            False where another run has been making them for so long that this one does not wait.

        Raises
        ------
        PluginError
            If an output fails.
        StorageError
            If something that is not argosy's stands under a name, or the disk fails.
        """
        return not self._outputs or self._refresh(wait=True)

    def _refresh(self, *, wait: bool) -> bool:
        begun = time.monotonic()
        while not self._lock.acquire(wait=False):
            if not wait or time.monotonic() - begun > PATIENCE:
                return False
            time.sleep(0.05)
        try:
            for label, output in self._outputs:
                self._make(label, output)
        except OSError as error:
            raise disk_error(self._ledger.private.parent, error) from None
        finally:
            self._lock.release()
            took = time.monotonic() - begun
            self._due = time.monotonic() + max(EVERY, took / PART)
        return True

    def _make(self, label: str, output: CollectingOutput) -> None:
        changes = self._ledger.changes()  # before it is read: what comes later is for the next time
        before = self._collected.files(label)
        if before and all(
            file is not None and speaks_of == changes and self._ledger.storage.size(name) == file.size
            for name, (file, speaks_of, _) in before.items()
        ):
            return
        scratch = self._staging.spare()
        try:
            job = Job(_NOBODY, self._own(output), self._force)
            publisher = Publisher(self._ledger.storage, job, StagedItem(_NOBODY, ()))
            products = self._call(output, self._ledger.finished(), scratch)
            checked = publisher.check(products, output.name, label)
            self._collected.claim(label, [one.file.name for one in checked])
            self._collected.record(label, publisher.put(checked), changes)
        except TransferError as error:
            raise StorageError(error.message, hint=error.hint) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _own(self, output: CollectingOutput) -> frozenset[str]:
        """Return the names of its files, also of those that it made with other options."""
        return frozenset(
            name
            for name, (_, _, label) in self._collected.files().items()
            if label.partition("#")[0] == output.name
        )

    def _call(self, output: CollectingOutput, items: Iterable[FinishedItem], scratch: Path) -> list[Any]:
        try:
            return list(output.collect(items, scratch))
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
                raise
            raise self._failed(output, describe_exception(error, output)) from None

    @staticmethod
    def _failed(output: CollectingOutput, how: str) -> PluginError:
        return PluginError(
            f"The output {output.name!r} failed while it made its files over all items: {how}.",
            hint="What was downloaded is kept. Report it to the plugin's author.",
            plugin=output.name,
        )
