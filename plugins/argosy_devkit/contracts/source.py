r"""The contract of sources as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.source import SourceContract

    class TestMySource(SourceContract):
        plugin = MySource

        def options(self, tmp_path):
            (tmp_path / "books.txt").write_text("https://library.example/a.pdf\n")
            return {"path": "books.txt"}

        def broken_options(self, tmp_path):
            (tmp_path / "books.txt").write_text("no URL\n")
            return {"path": "books.txt"}

A source that asks a service overrides the fixture ``given`` and starts one there (`argosy_devkit.LibraryServer`), and
`login` if the service wants one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

import argosy
from argosy.errors import ConfigError, SourceError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.source import Source
from argosy.models.items import DIGESTS, Item
from argosy.toolkit.names import problem_of
from argosy.toolkit.urls import check_url
from argosy_devkit.contracts.plugin_suite import (
    PluginRules,
    make_plugin,
    no_more_files,
    settled_files,
    with_defaults,
)
from argosy_devkit.contracts.promises import documented_at, relying_on
from argosy_devkit.contracts.waiting import Thread

_ITEMS = "argosy.Source.items (docs/plugins/contracts.md)"
_EXPAND = "argosy.Source.expand (docs/plugins/contracts.md)"


class SourceContract(PluginRules):
    """Each test is one promise of `argosy.interfaces.Source`."""

    plugin: ClassVar[type[Source]]
    documented = _ITEMS

    def broken_options(self, tmp_path: Path) -> Mapping[str, Any] | None:
        """Return options that refer to unreadable input, or None if there is none."""
        return None

    def login(self) -> Mapping[str, Any]:
        """Return what a configuration needs to log in, such as ``auth`` and ``cookie_store``; it may use `given`'s service."""
        return {}

    def session(self) -> AbstractContextManager[requests.Session]:
        """Return the session for `items` and `expand`, as a run does."""
        login = self.login()
        return argosy.open_session(login) if login else requests.Session()

    @pytest.fixture
    def source(self, given: Mapping[str, Any], context: PluginContext) -> Any:
        """Create the source."""
        source = make_plugin(self.plugin, given, context)
        yield source
        source.close()

    @pytest.fixture
    def items(self, source: Source) -> list[Item]:
        """Return its items."""
        with self._for_items() as http, relying_on("items() yields the items that options() names.", _ITEMS, "items()"):
            return list(source.items(http))

    def test_it_yields_items_one_by_one(self, source: Source) -> None:
        """items() returns an iterator, so a source with a million items builds no list."""
        with self._for_items() as http:
            found: object = source.items(http)
            assert isinstance(found, Iterator), f"items() returned a {type(found).__name__}; it must yield the items"
            assert list(found), "it has no items: options() must refer to some"

    def test_it_says_whether_it_asks(self, source: Source) -> None:
        """items() sends requests only if the class sets `asks`, or a preview would log in for nothing."""
        if self.plugin.asks:
            pytest.skip("its class sets asks = True")
        with _no_session() as http:
            try:
                list(source.items(http))
            except requests.exceptions.InvalidSchema:
                pytest.fail("it sends a request with its session, but its class does not set asks = True")

    def test_each_is_an_item_with_an_id_of_its_own(self, items: list[Item]) -> None:
        """Each is an argosy.Item with a unique id: the ledger identifies it by its id in every run."""
        seen: set[str] = set()
        for item in items:
            assert isinstance(item, Item), f"it yielded a {type(item).__name__}, not an argosy.Item"
            assert isinstance(item.id, str), f"an id must be text: {item.id!r}"
            assert item.id, "an id must not be empty"
            assert item.id not in seen, f"two items have the id {item.id!r}"
            seen.add(item.id)

    @documented_at("argosy.Item (docs/plugins/contracts.md)")
    def test_items_can_be_kept(self, items: list[Item]) -> None:
        """An item survives a round trip through JSON with its metadata; otherwise the next run takes it for another."""
        for item in items:
            try:
                again = Item.from_json(item.to_json())
            except (TypeError, ValueError) as error:
                pytest.fail(f"the item {item.id!r} cannot be written as JSON: {error}")
            assert again.to_json() == item.to_json(), f"the item {item.id!r} comes back changed"
            assert dict(again.metadata) == json.loads(json.dumps(dict(item.metadata))), "metadata changed"
            for key in item.metadata:
                assert isinstance(key, str), f"a key of the metadata must be text: {key!r}"
            assert isinstance(item.title, str), f"a title must be text: {item.title!r}"
            assert all(isinstance(tag, str) for tag in item.tags), f"tags must be texts: {item.tags!r}"

    @documented_at("argosy.Resource (docs/plugins/contracts.md)")
    def test_resources_can_be_fetched(self, items: list[Item], source: Source) -> None:
        """Each URL is http or https without a password, each digest has a known name, each size is a number."""
        for item in self._expanded(items, source):
            for resource in item.resources:
                wrong = check_url(resource.url)
                assert wrong is None, f"of the item {item.id!r}, the URL {resource.url!r} {wrong}"
                unknown = set(resource.digests) - set(DIGESTS)
                assert not unknown, f"of the item {item.id!r}, a digest has no known name: {sorted(unknown)}"
                size: object = resource.size
                assert size is None or (isinstance(size, int) and size >= 0), f"a size must be bytes: {size!r}"

    @documented_at("argosy.Resource (docs/plugins/contracts.md)")
    def test_names_are_safe(self, items: list[Item], source: Source) -> None:
        """The names of files are relative, safe on every system, and unique."""
        owner: dict[str, str] = {}
        for item in self._expanded(items, source):
            for name in item.names():
                wrong = problem_of(name)
                assert wrong is None, (
                    f"the item {item.id!r} asks for the name {name!r}, which {wrong} "
                    "(argosy.toolkit.names.safe_part makes a safe part of any text)"
                )
                other = owner.setdefault(name, item.id)
                assert other == item.id, f"the items {other!r} and {item.id!r} both want the name {name!r}"

    def test_a_second_look_finds_the_same(
        self, items: list[Item], given: Mapping[str, Any], context: PluginContext
    ) -> None:
        """Without changes, it yields the same items again; otherwise each run would download all of them."""
        again = self.plugin(given, context)
        try:
            with self._for_items() as http:
                fresh = {item.id: item.fingerprint() for item in again.items(http)}
        finally:
            again.close()
        assert fresh == {item.id: item.fingerprint() for item in items}, "a second source found other items"

    def test_it_can_be_given_up(self, given: Mapping[str, Any], context: PluginContext) -> None:
        """A stopped run closes the iterator in another thread: no file stays open."""
        self._take_one(given, context)  # files that imports keep open do not count
        files = settled_files()
        self._take_one(given, context)
        assert no_more_files(files), "files stay open if the iterator is closed early"

    def test_it_leaves_the_target_directory_alone(self, items: list[Item], context: PluginContext) -> None:
        """Reading items writes nothing into the target directory, since --dry-run reads them, too."""
        assert items
        assert not list(context.directory.iterdir()), "it wrote something into the target directory"

    @documented_at(_EXPAND)
    def test_a_worker_can_expand_items(
        self, items: list[Item], given: Mapping[str, Any], context: PluginContext
    ) -> None:
        """expand() returns the same item with resources, even in a worker that never called items()."""
        elsewhere = self.plugin(given, context)
        try:
            for before, after in zip(items, self._expanded(items, elsewhere), strict=True):
                assert isinstance(after, Item), f"expand() returned a {type(after).__name__}"
                assert after.id == before.id, f"expand() made {after.id!r} of the item {before.id!r}"
                assert after.resources, f"the item {before.id!r} has nothing to download"
        finally:
            elsewhere.close()

    @documented_at("How a plugin may fail (docs/plugins/failing.md)")
    def test_what_cannot_be_read_is_said(self, tmp_path: Path, context: PluginContext) -> None:
        """Invalid input raises SourceError or ConfigError with the place and a hint, and nothing else."""
        broken = self.broken_options(tmp_path)
        if broken is None:
            pytest.skip("broken_options() returns None")
        with pytest.raises((SourceError, ConfigError)) as caught:
            self._read(with_defaults(self.plugin, broken), context)
        error = caught.value
        assert error.hint or error.problems, f"the error has neither a problem nor a hint: {error}"

    def test_a_run_can_be_planned(
        self, items: list[Item], given: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run, and ``argosy download --dry-run``, gets all of its items."""
        monkeypatch.chdir(tmp_path)
        planned = argosy.preview(self.configuration(tmp_path, given, **self.login()), plugins=[self.plugin])
        assert len(planned) == len(items), "a run finds a different number of items"
        assert sorted(item.id for item in planned) == sorted(item.id for item in items), "a run finds different items"

    def _expanded(self, items: list[Item], source: Source) -> list[Item]:
        with self.session() as session:
            return [item if item.resources else self._expand(item, source, session) for item in items]

    def _expand(self, item: Item, source: Source, session: requests.Session) -> Item:
        words = f"expand() of the item {item.id!r}, with what session() returns,"
        with relying_on("expand() finds the resources of an item by authorized requests.", _EXPAND, words):
            return source.expand(item, session)

    def _read(self, options: Mapping[str, Any], context: PluginContext) -> None:
        source = self.plugin(options, context)
        try:
            with self._for_items() as http, self.session() as session:
                for item in source.items(http):
                    if not item.resources:
                        source.expand(item, session)
        finally:
            source.close()

    def _take_one(self, given: Mapping[str, Any], context: PluginContext) -> None:
        source = self.plugin(given, context)
        with self._for_items() as http:
            iterator: Any = source.items(http)
            next(iterator)
            Thread(iterator.close).result()
        source.close()

    def _for_items(self) -> AbstractContextManager[requests.Session]:
        return self.session() if self.plugin.asks else _no_session()


def _no_session() -> requests.Session:
    """Return a session that sends nothing."""
    session = requests.Session()
    session.adapters.clear()
    return session
