"""The contract of outputs over all items as a test suite.

Subclass it in your tests and run pytest::

    from argosy_devkit.contracts.collecting_output import CollectingOutputContract

    class TestMyCatalogue(CollectingOutputContract):
        plugin = MyCatalogue

        def options(self, tmp_path):
            return {"format": "html"}

It extends the suite for outputs.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import CollectingOutput
from argosy.models.items import FinishedItem, Product, PublishedFile, StagedItem
from argosy.toolkit.names import problem_of
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.output import (
    OutputContract,
    Sizes,
    in_a_fresh_process,
    on_a_full_disk,
    sizes_of,
)
from argosy_devkit.contracts.plugin_suite import make_plugin
from argosy_devkit.contracts.promises import documented_at, relying_on

#: When the items of the tests were finished, in seconds since the epoch.
DONE = 1_750_000_000.0

COLLECT = "argosy.CollectingOutput.collect (docs/plugins/contracts.md)"


class CollectingOutputContract(OutputContract):
    """Each test is one promise of `argosy.interfaces.CollectingOutput`."""

    plugin: ClassVar[type[CollectingOutput]]
    documented = COLLECT

    @pytest.fixture
    def finished(self, items: list[StagedItem]) -> list[FinishedItem]:
        """Return finished items in the order of their ids, some of them odd."""
        done = [FinishedItem(staged.item, _kept(staged), DONE + at) for at, staged in enumerate(items)]
        return sorted(done, key=lambda one: one.item.id)

    @pytest.fixture
    def catalogue(self, given: Mapping[str, Any], context: PluginContext, tmp_path: Path) -> Any:
        """Create the output."""
        output = make_plugin(self.plugin, given, context)
        yield Catalogue(output, tmp_path)
        output.close()

    def test_it_collects_something(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """It creates a file from finished items, or this suite would prove nothing."""
        assert catalogue.collect(finished), "it creates no file from the items of the test"

    def test_collected_names_are_safe(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """The name of a file over all items is relative, safe on every system, and unique."""
        products = catalogue.collect(finished)
        for product in products:
            assert isinstance(product, Product), f"collect() must yield Products, not {product!r}"
            wrong = problem_of(product.name)
            assert wrong is None, f"it asks for the name {product.name!r}, which {wrong}"
        names = [product.name for product in products]
        assert len(names) == len(set(names)), f"it asks for one name twice: {names}"

    def test_collected_files_are_whole(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """A file over all items is a regular file, written below the scratch folder."""
        for product in catalogue.collect(finished):
            inside = product.file.is_relative_to(catalogue.scratch)
            assert inside, f"{product.file} is not below the scratch folder"
            assert product.file.exists(), f"{product.name}: its file does not exist"
            assert stat.S_ISREG(product.file.lstat().st_mode), f"{product.name}: it is not a regular file"

    def test_the_names_are_the_same_each_time(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """It always uses the same names, even without items; otherwise old files remain."""
        names = {product.name for product in catalogue.collect(finished)}
        for some in ([], finished[:1], finished[3:]):
            others = {product.name for product in catalogue.collect(some)}
            assert others == names, f"over {len(some)} items it asks for {sorted(others)}, not {sorted(names)}"

    def test_items_are_read_once(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """It reads the items one by one and only once: they may not fit into memory."""
        wanted = sizes_of(catalogue.collect(finished))
        assert sizes_of(catalogue.collect(iter(finished))) == wanted, (
            "with items that can only be read once, its files differ: it reads them more than once"
        )

    def test_it_makes_them_anew(
        self, catalogue: Catalogue, finished: list[FinishedItem], given: Mapping[str, Any], tmp_path: Path
    ) -> None:
        """Its files do not depend on earlier calls or old files: only the ledger knows which items are finished."""
        place = (dict(given), tmp_path, finished[:4], catalogue.fresh())
        wanted = in_a_fresh_process(self.plugin, _collect, place)
        catalogue.collect(finished)
        assert sizes_of(catalogue.collect(finished[:4])) == wanted, (
            "after other items, its files differ from those in a separate process: "
            "it keeps something in the plugin, its class or its module"
        )
        catalogue.put(catalogue.collect(finished))
        assert sizes_of(catalogue.collect(finished[:4])) == wanted, (
            "with its old file in the target directory, its files differ: it reads that file"
        )

    def test_collecting_touches_nothing_else(self, catalogue: Catalogue, finished: list[FinishedItem]) -> None:
        """It writes only into its scratch folder: the core publishes the files."""
        for some in (finished[:4], finished):  # the second time, its old files are in place
            before = catalogue.others()
            products = catalogue.collect(some)
            after = catalogue.others()
            strange = after.keys() ^ before.keys()
            assert not strange, f"it made or removed files outside its scratch folder: {sorted(strange)}"
            changed = [path for path in before if after[path] != before[path]]
            assert not changed, f"it changed files outside its scratch folder: {changed}"
            catalogue.put(products)

    @documented_at("How a plugin may fail (docs/plugins/failing.md)")
    def test_a_full_disk_is_not_hidden_from_who_collects(
        self, catalogue: Catalogue, finished: list[FinishedItem], given: Mapping[str, Any], tmp_path: Path
    ) -> None:
        """If it cannot write, it raises OSError or StorageError, and never returns an incomplete file."""
        wanted = sizes_of(catalogue.collect(finished))
        on_a_full_disk(
            self.plugin,
            _collect,
            (dict(given), tmp_path, finished, catalogue.fresh()),
            wanted,
        )

    def test_a_run_makes_its_files(
        self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any], catalogue: Catalogue
    ) -> None:
        """A real run publishes its files, and the next one recreates those that are missing."""
        names = [product.name for product in catalogue.collect([])]
        server = library_server(lease_mode="open")
        server.manifest(tmp_path / "list.jsonl", items=2)
        source = {"use": "manifest", "path": "list.jsonl"}
        use = {"use": self.plugin.name, **given}
        for _ in range(2):
            report = self.run(tmp_path, given, source=source, output=["files", use])
            assert report.error is None, f"the run ended with: {report.error}"
            missed = [name for name in names if not (tmp_path / "library" / name).is_file()]
            assert not missed, f"after a run these files are missing: {missed}"
            (tmp_path / "library" / names[0]).unlink()


class Catalogue:
    """An output over all items, and the folder of the test."""

    def __init__(self, output: CollectingOutput, folder: Path) -> None:
        self.output = output
        self.folder = folder
        #: The scratch folder of the last call.
        self.scratch = folder / "library" / ".argosy" / "collecting"

    def fresh(self) -> Path:
        """Return an empty scratch folder."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        return self.scratch

    def collect(self, items: Iterable[FinishedItem]) -> list[Product]:
        """Return the files for some items."""
        with relying_on("collect() makes files over the items that are done.", COLLECT, "collect()"):
            return list(self.output.collect(items, self.fresh()))

    def put(self, products: Iterable[Product]) -> None:
        """Publish files, as the core does."""
        for product in products:
            place = self.folder / "library" / product.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(product.file, place)

    def others(self) -> dict[str, str]:
        """Return the path of everything outside the scratch folder, and the digests of files."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in self.folder.rglob("*")
            if path != self.scratch and not path.is_relative_to(self.scratch)
        }


def _kept(staged: StagedItem) -> tuple[PublishedFile, ...]:
    return tuple(
        PublishedFile(f"{staged.item.folder}/{f.resource.path}", f.size, f.sha256, f.verification, "files")
        for f in staged.files
    )


def _collect(
    plugin: type[CollectingOutput],
    options: Mapping[str, Any],
    folder: Path,
    items: Sequence[FinishedItem],
    scratch: Path,
) -> Sizes:
    output = plugin(options, PluginContext(base=folder, directory=folder / "library"))
    try:
        return sizes_of(list(output.collect(items, scratch)))
    finally:
        output.close()
