"""The ledger's page of the files over all items: which output made them, and how much they know."""

from __future__ import annotations

from argosy.model import KeptFile, Verification
from argosy.run.ledger.book import Ledger


class Collected:
    """The files over all items of a target directory.

    Parameters
    ----------
    ledger
        Its ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def files(self, output: str | None = None) -> dict[str, tuple[KeptFile | None, int, str]]:
        """Return what was last put into place under each name, which change of the ledger it speaks of, and whose it is.

        Parameters
        ----------
        output
            Those of one output alone.

        Returns
        -------
        dict
            None for a file of which it is not known whether it came into place.
        """
        if self._ledger.is_old:
            return {}
        with self._ledger.guard():
            found = self._ledger.db.execute(
                "SELECT name, size, sha256, output, changes FROM collected WHERE ? IN (output, '') ORDER BY name",
                (output or "",),
            ).fetchall()
        return {
            name: (
                None if size is None else KeptFile(name, size, digest, Verification.DIGEST, of),
                changes,
                of,
            )
            for name, size, digest, of, changes in found
        }

    def claim(self, output: str, names: list[str]) -> None:
        """Write down under which names an output is about to put files: they are its own from then on."""
        with self._ledger.guard():
            self._ledger.db.executemany(
                "INSERT OR IGNORE INTO collected VALUES (?, ?, NULL, NULL, 0)",
                [(output, name) for name in names],
            )

    def mark_damaged(self, names: list[str]) -> None:
        """Say that files are not what they were, so that the next run makes them anew; those that are gone are forgotten."""
        gone = [(name,) for name in names if self._ledger.shelf.size(name) is None]
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.executemany(
                "UPDATE collected SET changes = 0 WHERE name = ?", [(name,) for name in names]
            )
            self._ledger.db.executemany("DELETE FROM collected WHERE name = ?", gone)

    def record(self, output: str, files: list[KeptFile], changes: int) -> None:
        """Write down what an output has put into place, and the change that it speaks of."""
        with self._ledger.guard(), self._ledger.transaction():
            self._ledger.db.execute("DELETE FROM collected WHERE output = ?", (output,))
            self._ledger.db.executemany(
                "DELETE FROM collected WHERE name = ?", [(file.name,) for file in files]
            )
            self._ledger.db.executemany(
                "INSERT INTO collected VALUES (?, ?, ?, ?, ?)",
                [(output, file.name, file.size, file.sha256, changes) for file in files],
            )
