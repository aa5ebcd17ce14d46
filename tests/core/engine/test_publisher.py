"""Putting files under final names."""

from __future__ import annotations

import contextlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from argosy.engine.publisher import Publisher
from argosy.errors import PluginError, TransferError
from argosy.interfaces import PluginContext
from argosy.models.items import Item, Job, Product, PublishedFile, StagedItem, Verification
from argosy.toolkit.files import digest_of
from argosy_plugins.storages.folder import FolderStorage

ITEM = Item("a", "A")


def publisher(directory: Path, **options: bool | frozenset[str]) -> Publisher:
    storage = FolderStorage({}, PluginContext(directory=directory))
    return Publisher(storage, Job(ITEM, **options), StagedItem(ITEM, ()))  # type: ignore[arg-type]  # of a dict


def publish(publisher: Publisher, products: list[Product], output: str) -> list[PublishedFile]:
    return publisher.publish(publisher.check(products, output))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(b"new")
    return path


def test_it_makes_folders_and_says_what_it_kept(tmp_path: Path, made: Path) -> None:
    (kept,) = publish(publisher(tmp_path), [Product("b/c.txt", made)], "files")
    assert (tmp_path / "b" / "c.txt").read_bytes() == b"new"
    assert (kept.name, kept.size, kept.verification) == ("b/c.txt", 3, Verification.DIGEST)


def test_a_strange_file_is_left_alone(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"mine")
    with pytest.raises(TransferError, match="already exists"):
        publish(publisher(tmp_path), [Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"mine"
    publish(publisher(tmp_path, force=True), [Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"new"


def test_a_file_of_the_same_item_is_replaced(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"old version")
    publish(publisher(tmp_path, replaces=frozenset({"c.txt"})), [Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"new"


def test_the_very_file_is_taken_as_it_stands(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"new")
    before = (tmp_path / "c.txt").stat().st_ino
    publish(publisher(tmp_path), [Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").stat().st_ino == before


@pytest.mark.torture(39)
@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_nothing_is_written_through_what_is_no_file(tmp_path: Path, made: Path, kind: str) -> None:
    target, elsewhere = tmp_path / "c.txt", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    if kind == "symlink":
        target.symlink_to(elsewhere)
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.mkdir()
    for force in (False, True):
        with pytest.raises(TransferError, match="was not replaced"):
            publish(publisher(tmp_path, force=force), [Product("c.txt", made)], "files")
    assert elsewhere.read_bytes() == b"precious"


def test_no_folder_is_a_symlink(tmp_path: Path, made: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "other")
    with pytest.raises(TransferError, match="not a real folder"):
        publish(publisher(tmp_path), [Product("b/c.txt", made)], "files")
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", ".argosy/ledger.sqlite", "", "CON"])
def test_an_output_cannot_ask_for_an_unsafe_name(tmp_path: Path, made: Path, name: str) -> None:
    with pytest.raises(PluginError, match="'evil'"):
        publish(publisher(tmp_path), [Product(name, made)], "evil")


def test_an_output_must_name_a_regular_file(tmp_path: Path, made: Path) -> None:
    (tmp_path / "link").symlink_to(made)
    for file in (tmp_path / "link", tmp_path / "missing", tmp_path):
        with pytest.raises(PluginError, match="not a regular file"):
            publish(publisher(tmp_path), [Product("c.txt", file)], "files")


def test_all_products_are_looked_at_before_one_is_placed(tmp_path: Path, made: Path) -> None:
    with pytest.raises(PluginError):
        publish(publisher(tmp_path), [Product("c.txt", made), Product("../d.txt", made)], "files")
    assert not (tmp_path / "c.txt").exists()


def test_two_outputs_do_not_get_one_name_for_different_files(tmp_path: Path, made: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"another")
    both = publisher(tmp_path)
    both.check([Product("c.txt", made)], "zip")
    with pytest.raises(TransferError, match="'zip' and 'cbz'"):
        both.check([Product("C.txt", other)], "cbz")
    with pytest.raises(TransferError, match="'zip' and 'zip'"):
        publisher(tmp_path).check([Product("c.txt", made), Product("c.txt", other)], "zip")
    assert not (tmp_path / "c.txt").exists()


def test_several_names_of_one_file_take_no_more_room(tmp_path: Path, made: Path) -> None:
    once = publisher(tmp_path)
    checked = once.check([Product("a/c.txt", made, 86400.0)], "files", "files")
    checked += once.check([Product("b/c.txt", made)], "files", "files#1")
    kept = once.publish(checked)
    assert [file.output for file in kept] == ["files", "files#1"]
    found = [(tmp_path / file.name).stat() for file in kept]
    assert (found[0].st_ino, found[0].st_mtime) == (found[1].st_ino, 86400.0)


def test_a_file_that_comes_between_is_not_replaced(tmp_path: Path, made: Path) -> None:
    checked = publisher(tmp_path).check([Product("c.txt", made)], "files")
    (tmp_path / "c.txt").write_bytes(b"mine")
    with pytest.raises(TransferError, match="already exists"):
        publisher(tmp_path).publish(checked)
    assert (tmp_path / "c.txt").read_bytes() == b"mine"


def test_of_many_that_want_one_name_at_once_one_gets_it(tmp_path: Path) -> None:
    def put(number: int) -> str:
        file = tmp_path / f"made-{number}"
        file.write_bytes(b"%d" % number)
        try:
            (kept,) = publish(publisher(tmp_path), [Product("c.txt", file)], "zip")
        except TransferError:
            return ""
        return kept.sha256

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            got = [digest for digest in pool.map(put, range(8)) if digest]
        assert got == [digest_of(tmp_path / "c.txt")]
        (tmp_path / "c.txt").unlink()


@pytest.mark.parametrize("time", [float("nan"), "now"])
def test_a_time_that_is_none_is_the_plugin_s_fault(tmp_path: Path, made: Path, time: float) -> None:
    with pytest.raises(PluginError, match="not a number"):
        publish(publisher(tmp_path), [Product("c.txt", made, time)], "evil")


def test_a_time_that_no_file_can_have_is_left_out(tmp_path: Path, made: Path) -> None:
    publish(publisher(tmp_path), [Product("c.txt", made, 1e300)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"new"


@pytest.mark.torture(106)
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("call", ["link", "replace", "mkdir", "open"])
def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch, call: str, force: bool
) -> None:
    """Somebody swaps it right before one of the calls that put the file there, whichever."""
    outside, real, left = tmp_path / "outside", getattr(os, call), 0
    folder = tmp_path / "library" / "b"

    def swapping(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and folder.is_dir():
            folder.rename(tmp_path / "library" / f"away-{number}-{force}")
            folder.symlink_to(outside)
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, swapping)
    for number in range(1, 9):
        for path in (outside, folder):
            path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        (folder / "c.txt").write_bytes(b"old")
        if not force:
            (folder / "c.txt").unlink()
        left = number
        with contextlib.suppress(TransferError, OSError):
            publish(publisher(tmp_path / "library", force=force), [Product("b/c.txt", made)], "files")
        left = 0
        assert list(outside.iterdir()) == []
