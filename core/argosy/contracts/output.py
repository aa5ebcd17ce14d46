"""The contract of an output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

from argosy.contracts.base import Plugin
from argosy.model import Product, StagedItem


class Output(Plugin):
    """Turns an item's finished resources into what the person keeps.

    An output never touches a final name. It says which whole file gets which name; the core checks the
    names, syncs the files and renames them into place, so that a final name appears only whole.
    """

    @abstractmethod
    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return the files of one item, each with the final name it asks for.

        Parameters
        ----------
        item
            The item, its resources whole and checked. Its files must not be changed.
        scratch
            An empty folder of its own, on the file system of the target, for files it writes.
        """
