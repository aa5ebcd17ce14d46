"""The contract of an output, and of one that makes one file over all items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from argosy.interfaces.base import Plugin
from argosy.models.items import FinishedItem, Item, Product, StagedItem


class Output(Plugin):
    """Turns an item's finished resources into what the person keeps.

    An output never touches a final name. It says which whole file gets which name; the core checks the
    names, syncs the files and puts them into place, so that a final name appears only whole. The products of
    all outputs of a run are made before the first of an item is put into place.

    .. versionadded:: 0.1
    """

    @abstractmethod
    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return the files of one item, each with the final name it asks for.

        Called in a worker, for many items at once. It may be called for an item that was downloaded long ago.

        Parameters
        ----------
        item
            The item, its resources whole and checked. Its files must not be changed.
        scratch
            An empty folder of its own, on the file system of the target, for files it writes.
        """

    def names(self, item: Item) -> Iterable[str]:
        """Return the final names it will ask for, as far as they are known before anything is fetched.

        With them a run finds out before its first request where two items would get into each other's way, and
        ``--dry-run`` shows them. An output that knows none beforehand leaves this out.

        Parameters
        ----------
        item
            An item as its source yields it; it may have no resources yet.
        """
        return ()

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        """Yield an item's resources, in their order, out of what this output once made of them.

        It is asked where no output has kept the resources as they came, and another output is to be made of them.
        What it yields is checked by digest before it is used. An output that cannot do this leaves it out.

        Parameters
        ----------
        item
            The item, with its resources.
        files
            Where the files lie that it made of the item. They must not be changed.
        scratch
            An empty folder of its own, for the files it yields.
        """
        yield from ()


class CollectingOutput(Output):
    """Makes files over all finished items of a target directory: a catalogue, a feed, an index.

    Each time it makes them anew from all that is done, and they take the place of what it made before. So they
    are right again after whatever became of an earlier run, and several runs in one directory lose nothing.
    """

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return nothing; one that makes files of each item as well has a `produce` of its own."""
        return ()

    @abstractmethod
    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        """Return the files over all items, each with the final name it asks for: the same names each time.

        Called in the run's own process: at its start where items were done since, now and then while items get
        done, and at its end. No other run in the target directory collects at that moment.

        Parameters
        ----------
        items
            All items that are done, in the order of their ids; they are read one by one, and may be very many.
        scratch
            An empty folder of its own, on the file system of the target, for files it writes.
        """
