"""The interfaces of outputs, and of outputs that make one file from all items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from argosy.interfaces.base import Plugin
from argosy.models.items import FinishedItem, Item, Product, StagedItem


class Output(Plugin):
    """Turns an item's downloaded resources into final files.

    An output never writes to a final name. It returns complete files and the names they should get; argosy checks the
    names, syncs the files and renames them, after all outputs have produced those of an item.
    """

    @abstractmethod
    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return the files of one item, with the final names they should get.

        Workers call it, for many items at once, possibly long after the download. The item's resources are complete and
        verified, and must not be changed. `scratch` is an empty folder for new files, on the target's file system.
        """

    def names(self, item: Item) -> Iterable[str]:
        """Return the final names of an item's files, if they are known before the download.

        They let a run find conflicts between items before its first request, and appear in ``--dry-run``.
        The item may have no resources yet.
        """
        return ()

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        """Yield an item's resources, in their order, from the files that this output made of them.

        It is called if no output has kept the resources unchanged and another output needs them. The resources go into
        `scratch`, an empty folder, and their digests are verified; the files must not be changed. An output that cannot do
        this yields nothing.
        """
        yield from ()


class CollectingOutput(Output):
    """Makes files from all finished items of a target directory: a catalogue, a feed, an index.

    It makes them anew each time, and they replace the old ones. So they are right again after a run that failed, and
    after several runs in one directory.
    """

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return nothing; override it to make files of each item, too."""
        return ()

    @abstractmethod
    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        """Return the files, with the same final names each time.

        The process of the run calls it at the start, if items were finished since the last time, several times during
        the run, and at the end. No other run collects in the target directory at that moment. The items are all finished
        ones by ID, read one by one, as there may be very many; `scratch` is an empty folder for new files.
        """
