"""The contract of outputs as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.output import OutputContract

    class TestMyOutput(OutputContract):
        plugin = MyOutput

        def options(self, tmp_path):
            return {"folder": "pages"}

        def contents(self):
            return {"chapter.html": b"<p>What the output is for."}
"""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import StorageError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Product, StagedItem
from argosy.toolkit.names import problem_of
from argosy_devkit.client import ServerFactory
from argosy_devkit.contracts.output_suite import Bench, OutputSuite
from argosy_devkit.contracts.plugin_suite import PATIENCE, PluginRules, check_importable
from argosy_devkit.contracts.promises import documented_at
from argosy_devkit.contracts.waiting import Thread

Sizes = dict[str, int] | None


class OutputContract(PluginRules, OutputSuite):
    """Each test is one promise of `argosy.interfaces.Output`.

    An output that cannot process an item raises `argosy.errors.TransferError`, here as in a run.
    """

    documented = OutputSuite.documented

    def test_it_makes_something(self, bench: Bench, items: list[StagedItem]) -> None:
        """It creates products from a suitable item, or this suite would prove nothing."""
        assert bench.produce(items[0], bench.scratch(0)) is not None, (
            "it refuses the first item of the test: contents() must return files that it can process"
        )

    def test_products_have_safe_names(self, bench: Bench, items: list[StagedItem]) -> None:
        """A product's name is relative and safe on every system, whatever the ids and titles of items are."""
        for number, staged in enumerate(items):
            for product in bench.produce(staged, bench.scratch(number)) or ():
                assert isinstance(product, Product), f"produce() must yield Products, not {product!r}"
                assert isinstance(product.name, str), f"the name of a product must be text: {product.name!r}"
                wrong = problem_of(product.name)
                assert wrong is None, (
                    f"for the item {staged.item.id!r} it asks for the name {product.name!r}, which {wrong} "
                    "(argosy.toolkit.names.safe_part makes a safe part of any text)"
                )

    def test_products_are_whole_files(self, bench: Bench, items: list[StagedItem]) -> None:
        """A product's file is a regular file: a staged file, or one written below the scratch folder."""
        for number, staged in enumerate(items):
            scratch = bench.scratch(number)
            theirs = {file.path for file in staged.files}
            for product in bench.produce(staged, scratch) or ():
                assert isinstance(product.file, Path), f"the file of a product must be a Path: {product.file!r}"
                assert product.file in theirs or product.file.is_relative_to(scratch), (
                    f"{product.file} is neither a staged file nor below the scratch folder"
                )
                assert bench.output.makes_files or product.file in theirs, (
                    f"its makes_files is false, but it made {product.file.name}"
                )
                assert product.file.exists(), f"{product.name}: its file does not exist"
                assert stat.S_ISREG(product.file.lstat().st_mode), f"{product.name}: it is not a regular file"

    def test_nothing_else_is_touched(self, bench: Bench, items: list[StagedItem]) -> None:
        """It changes no staged file, and writes only into its scratch folder: the core publishes the files."""
        before = bench.files()
        for number, staged in enumerate(items):
            bench.produce(staged, bench.scratch(number))
        after = bench.files()
        assert after.keys() == before.keys(), (
            f"it made or removed files outside its scratch folder: {sorted(after.keys() ^ before.keys())}"
        )
        changed = [path for path in before if after[path] != before[path]]
        assert not changed, f"it changed the files of others: {changed}"

    def test_two_items_never_want_one_name(self, bench: Bench, items: list[StagedItem]) -> None:
        """Items with different ids get different files, even if their titles are the same."""
        owner: dict[str, str] = {}
        for number, staged in enumerate(items):
            names = [product.name for product in bench.produce(staged, bench.scratch(number)) or ()]
            assert len(names) == len(set(names)), f"it asks for one name twice: {names}"
            for name in names:
                other = owner.setdefault(name, staged.item.id)
                assert other == staged.item.id, (
                    f"the items {other!r} and {staged.item.id!r} both want the name {name!r}"
                )

    @documented_at("argosy.Output.names (docs/plugins/contracts.md)")
    def test_names_are_told_as_they_will_be(self, bench: Bench, items: list[StagedItem]) -> None:
        """names() returns the names that produce() uses, so conflicts are found before anything is fetched."""
        for number, staged in enumerate(items):
            products = bench.produce(staged, bench.scratch(number))
            if products is not None:
                told = set(bench.output.names(staged.item))
                asked = {product.name for product in products}
                assert told <= asked, f"names() told {sorted(told - asked)}, which produce() does not ask for"

    @documented_at("argosy.Output.restore (docs/plugins/contracts.md)")
    def test_what_is_restored_is_what_there_was(self, bench: Bench, items: list[StagedItem]) -> None:
        """restore() returns the item's resources in order, each complete or None; or nothing at all."""
        for number, staged in enumerate(items):
            made = [product.file for product in bench.produce(staged, bench.scratch(number)) or ()]
            given = list(bench.output.restore(staged.item, made, bench.scratch(number, "-back"))) if made else []
            for path, file in zip(given, staged.files, strict=False):
                assert path is None or path.read_bytes() == file.path.read_bytes(), (
                    f"{file.resource.path} came back as something else"
                )

    def test_a_second_try_wants_the_same_names(self, bench: Bench, items: list[StagedItem]) -> None:
        """Processing an item again, after a crash for example, uses the same names; otherwise the old files remain."""
        for number, staged in enumerate(items):
            first = sizes_of(bench.produce(staged, bench.scratch(number))) or ()
            second = sizes_of(bench.produce(staged, bench.scratch(number, "-again"))) or ()
            assert set(first) == set(second), f"the item {staged.item.id!r} got other names"

    def test_it_keeps_nothing_of_other_items(
        self, items: list[StagedItem], given: Mapping[str, Any], bench: Bench
    ) -> None:
        """Its products do not depend on earlier items: a later run or another worker has not seen them."""
        place = (dict(given), bench.folder, items[0], bench.scratch(0, "-alone"))
        alone = in_a_fresh_process(self.plugin, _produce, place)
        for number, staged in enumerate(items):
            bench.produce(staged, bench.scratch(number))
        after = sizes_of(bench.produce(items[0], bench.scratch(0, "-after")))
        assert after == alone, (
            "after other items, its products differ from those in a separate process: "
            "it keeps something in the plugin, its class or its module"
        )

    def test_items_come_in_any_thread(self, bench: Bench, items: list[StagedItem]) -> None:
        """Several threads may call it at once, in any order, with the same results as one."""
        alone = [
            sizes_of(bench.produce(staged, bench.scratch(number, "-alone"))) for number, staged in enumerate(items)
        ]

        def work(thread: int) -> list[Sizes]:
            order = list(enumerate(items))[:: -1 if thread % 2 else 1]
            made = [sizes_of(bench.produce(staged, bench.scratch(number, f"-{thread}"))) for number, staged in order]
            return made[:: -1 if thread % 2 else 1]

        for thread in [Thread(partial(work, number)) for number in range(6)]:
            assert thread.result() == alone, "with several threads at once, its products differ"

    @documented_at("How a plugin may fail (docs/plugins/failing.md)")
    def test_a_full_disk_is_not_hidden(
        self, items: list[StagedItem], given: Mapping[str, Any], context: PluginContext, bench: Bench
    ) -> None:
        """If it cannot write, it raises OSError or StorageError, and never returns an incomplete file."""
        wanted = sizes_of(bench.produce(items[0], bench.scratch(0)))
        on_a_full_disk(
            self.plugin,
            _produce,
            (dict(given), bench.folder, items[0], bench.scratch(0, "-full")),
            wanted,
        )

    def test_a_run_keeps_what_it_makes(
        self, library_server: ServerFactory, tmp_path: Path, given: Mapping[str, Any]
    ) -> None:
        """In a real run its files get their names, and a second run has nothing to do."""
        root = tmp_path / "served"
        for path, body in self.contents().items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(body)
        server = library_server(lease_mode="open", root=root)
        resources = [{"url": server.url_for(f"/library/{path}"), "path": path} for path in self.contents()]
        lines = [{"id": id_, "title": "One title", "resources": resources} for id_ in ("b1", "b2")]
        (tmp_path / "books.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        source = {"use": "manifest", "path": "books.jsonl"}
        report = self.run(tmp_path, given, source=source)
        assert report.counts.done == 2, f"the items of a real run failed: {report.failures}"
        assert self.run(tmp_path, given, source=source).counts.skipped == 2, "a second run processed items again"


def on_a_full_disk(plugin: type[Output], make: Callable[..., Sizes], arguments: tuple[Any, ...], wanted: Sizes) -> None:
    """Let an output write in a process in which no file can grow, and fail the test unless it raises the right error.

    `make` with `arguments` returns the sizes of the products by name; `wanted` are those of complete files, which an output
    that writes nothing itself may return.
    """
    said = in_a_fresh_process(plugin, _where_no_file_grows, (make, arguments))
    if said == "skip":
        pytest.skip("no limit can be set on the size of files here")
    assert not isinstance(said, str), said
    assert said is None or said == wanted, f"it handed on files that were not written: {said}"


def in_a_fresh_process(plugin: type[Output], function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return the result of a function in a process that has done nothing else."""
    check_importable(plugin)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_send, args=(function, (plugin, *arguments), theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(PATIENCE), f"another process that used it did not end within {PATIENCE:.0f} s"
        return ours.recv()
    except EOFError:
        process.join()
        pytest.fail(f"it ended its process, with exit status {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()


def _send(function: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection) -> None:
    pipe.send(function(*arguments))


def _where_no_file_grows(plugin: type[Output], make: Callable[..., Sizes], arguments: tuple[Any, ...]) -> Any:
    """Return the sizes of the products, None after the right error, or a complaint."""
    try:
        import resource
    except ImportError:
        return "skip"
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        return make(plugin, *arguments)
    except TransferError as error:
        return f"on a full disk it blamed the item: {error}"
    except (OSError, StorageError):
        return None
    except Exception as error:
        return f"on a full disk it raised {type(error).__name__}: {error}"


def _produce(
    plugin: type[Output], options: Mapping[str, Any], folder: Path, staged: StagedItem, scratch: Path
) -> Sizes:
    output = plugin(options, PluginContext(base=folder, directory=folder / "library"))
    try:
        return sizes_of(list(output.produce(staged, scratch)))
    finally:
        output.close()


def sizes_of(products: list[Product] | None) -> Sizes:
    """Return the sizes of the products by name, or None if the output refused the item."""
    return None if products is None else {product.name: product.file.stat().st_size for product in products}
