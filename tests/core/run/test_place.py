"""Putting files under final names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import PluginError, TransferError
from argosy.model import Item, Job, Product, StagedItem, Verification
from argosy.run.place import Placer

ITEM = Item("a", "A")


def placer(directory: Path, **options: bool | frozenset[str]) -> Placer:
    return Placer(directory, Job(ITEM, **options), StagedItem(ITEM, ()))  # type: ignore[arg-type]  # of a dict


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(b"new")
    return path


def test_it_makes_folders_and_says_what_it_kept(tmp_path: Path, made: Path) -> None:
    (kept,) = placer(tmp_path).place([Product("b/c.txt", made)], "files")
    assert (tmp_path / "b" / "c.txt").read_bytes() == b"new"
    assert (kept.name, kept.size, kept.verification) == ("b/c.txt", 3, Verification.DIGEST)


def test_a_strange_file_is_left_alone(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"mine")
    with pytest.raises(TransferError, match="exists already"):
        placer(tmp_path).place([Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"mine"
    placer(tmp_path, force=True).place([Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"new"


def test_a_file_of_the_same_item_is_replaced(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"old version")
    placer(tmp_path, replaces=frozenset({"c.txt"})).place([Product("c.txt", made)], "files")
    assert (tmp_path / "c.txt").read_bytes() == b"new"


def test_the_very_file_is_taken_as_it_stands(tmp_path: Path, made: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"new")
    before = (tmp_path / "c.txt").stat().st_ino
    placer(tmp_path).place([Product("c.txt", made)], "files")
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
        with pytest.raises(TransferError, match="left as it is"):
            placer(tmp_path, force=force).place([Product("c.txt", made)], "files")
    assert elsewhere.read_bytes() == b"precious"


def test_no_folder_is_a_symlink(tmp_path: Path, made: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "other")
    with pytest.raises(TransferError, match="in the way"):
        placer(tmp_path).place([Product("b/c.txt", made)], "files")
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", ".argosy/ledger.sqlite", "", "CON"])
def test_an_output_cannot_ask_for_an_unsafe_name(tmp_path: Path, made: Path, name: str) -> None:
    with pytest.raises(PluginError, match="'evil'"):
        placer(tmp_path).place([Product(name, made)], "evil")


def test_an_output_must_name_a_regular_file(tmp_path: Path, made: Path) -> None:
    (tmp_path / "link").symlink_to(made)
    for file in (tmp_path / "link", tmp_path / "missing", tmp_path):
        with pytest.raises(PluginError, match="no regular file"):
            placer(tmp_path).place([Product("c.txt", file)], "files")


def test_all_products_are_looked_at_before_one_is_placed(tmp_path: Path, made: Path) -> None:
    with pytest.raises(PluginError):
        placer(tmp_path).place([Product("c.txt", made), Product("../d.txt", made)], "files")
    assert not (tmp_path / "c.txt").exists()
