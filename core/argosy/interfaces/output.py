"""The interfaces of outputs, and of outputs that make one file from all items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from argosy.interfaces.base import Plugin
from argosy.models.items import FinishedItem, Item, Product, StagedItem


class Output(Plugin):
    """Turns an item's downloaded resources into final files.

    An output never writes to a final name: it returns complete files and their names. argosy checks the names, syncs
    the files and renames them when all outputs have made those of an item.
    """

    #: Whether `produce` writes files. If not, argosy does not look after `scratch`, which takes a while for a small file.
    makes_files = True

    @abstractmethod
    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return the files of one item with their final names.

        Workers call it, for many items at once, possibly long after the download. The resources are complete and verified;
        do not change them. `scratch` is an empty folder for new files.
        """

    def names(self, item: Item) -> Iterable[str]:
        """Return the final names of an item's files, if they are known before the download.

        A run uses them to find conflicts before its first request, and for ``--dry-run``. The item may have no resources yet.
        """
        return ()

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        """Yield an item's resources, in their order, from the files that this output made of them.

        argosy calls it if another output needs the resources and none kept them unchanged, and verifies their digests.
        Write them into `scratch`, an empty folder; do not change the files. An output that cannot do this yields nothing.
        """
        yield from ()


class CollectingOutput(Output):
    """Makes files from all finished items of a target directory: a catalogue, a feed, an index.

    They replace those of an earlier run, so they are right again after a failed run, and after several runs.
    """

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        """Return nothing; override it to make files of each item, too."""
        return ()

    @abstractmethod
    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterable[Product]:
        """Return the files, with the same final names each time.

        The main process calls it during the run and at the end, and at the start if an earlier run finished items. No other
        run collects in the target directory at that moment. The items come one by one, by ID: there may be very many.
        """
