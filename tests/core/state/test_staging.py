"""What is staged of items, and when it goes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from argosy.models.items import Item, PublishedFile, Resource, Verification
from argosy.state.ledger import Row
from argosy.state.staging import Staging, StagingArea, staged_bytes

PART = Resource("https://library.example/a", "a")


@pytest.fixture
def area(tmp_path: Path) -> StagingArea:
    area = StagingArea(tmp_path)
    area.prepare()
    return area


def _row(id_: str, *files: PublishedFile) -> Row:
    """Return the ledger's row of an item that a dead run worked on."""
    return Row(id_, "", "active", "", files, 0, None)


def _left(area: StagingArea) -> set[Path]:
    return {path for path in area.path.rglob("*") if path.is_file()}


def test_a_recorded_item_leaves_nothing(area: StagingArea) -> None:
    item, other = Staging(area, Item("item", "")), Staging(area, Item("other", ""))
    for staging in (item, other):
        staging.whole(0, PART).write_text("whole")
        staging.kept(1).write_text("kept")
        staging.notes.publishing([PublishedFile("a.zip", 3, "ab" * 32, Verification.DIGEST, "zip")])
    area.remove("item", item.names())
    assert {path.name for path in _left(area)} == set(other.names())


def test_what_a_failed_attempt_left_is_removed_by_the_run_that_succeeds(area: StagingArea, tmp_path: Path) -> None:
    Path(f"{Staging(area, Item('item', '')).whole(0, PART)}.part").write_text("of a resource that it had then")
    again = StagingArea(tmp_path)
    again.prepare()
    staging = Staging(again, Item("item", ""))
    staging.whole(0, Resource(PART.url, PART.path, size=5)).write_text("whole")
    again.remove("item", staging.names())
    assert _left(again) == set()


def test_a_scratch_folder_serves_one_item_after_the_other(area: StagingArea) -> None:
    first = area.scratch(0)
    (first / "deep").mkdir()
    (first / "deep" / "half").write_text("half")
    assert (area.scratch(0), list(first.iterdir())) == (first, [])
    assert area.scratch(1) != first
    others = []
    thread = threading.Thread(target=lambda: others.append(area.scratch(0)))
    thread.start()
    thread.join()
    assert others != [first], "threads work on different items"
    area.close()
    assert list(area.path.iterdir()) == []


def test_a_changed_item_keeps_the_resources_that_did_not_change(area: StagingArea) -> None:
    Staging(area, Item("item", "old")).whole(0, PART).write_text("whole")
    changed = Staging(area, Item("item", "new"))
    assert changed.whole(0, PART).read_text() == "whole"
    assert not changed.whole(0, Resource(PART.url, PART.path, size=5)).exists()
    changed.clear()
    assert _left(area) == set()


def test_what_dead_runs_left_is_swept_and_nothing_else(area: StagingArea, tmp_path: Path) -> None:
    """A run may die after it has recorded an item and before it removes what is staged of it."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = area.path / f"scratch-{dead.pid}-0"
    (left / "0").mkdir(parents=True)
    (area.scratch() / "made").write_text("of a run that lives")
    for id_ in ("done", "failed"):
        Staging(area, Item(id_, "")).whole(0, PART).write_text(id_)
    again = StagingArea(tmp_path)
    again.prepare()
    again.sweep(["done", "others"])
    assert not left.exists()
    assert _left(again) == {
        area.path / area._scratches[0] / "0" / "made",
        Staging(area, Item("failed", "")).whole(0, PART),
    }


def test_what_is_staged_is_told_from_another_resource(area: StagingArea, tmp_path: Path) -> None:
    """A source may expand an item to other resources the next time; a promised digest outlives another URL."""
    staging = Staging(area, Item("item", ""))
    elsewhere = Resource("https://library.example/b", "a")
    proven = [Resource(f"https://library.example/{n}", "a", digests={"md5": "0" * 32}) for n in "ab"]
    names = [staging.whole(0, resource) for resource in (PART, elsewhere, *proven)]
    assert (len(set(names)), names[2]) == (3, names[3])
    names[0].write_text("whole")
    Path(f"{staging.whole(1, PART)}.part").write_text("part")
    assert staged_bytes(tmp_path) == 9


def test_of_an_item_that_a_dead_run_left_only_what_it_fetched_stays(area: StagingArea) -> None:
    staging = Staging(area, Item("left", ""))
    fetched = {staging.whole(0, PART), Path(f"{staging.whole(1, PART)}.part")}
    for path in fetched:
        path.write_text("fetched")
    staging.kept(2).write_text("stands under its final name, too")
    other = Staging(area, Item("another", "")).kept(0)
    other.write_text("of a run that lives")
    area.tidy(_row("left"))
    area.tidy(_row("never begun"))
    assert _left(area) == {*fetched, other}


def test_notes_stay_after_a_kill_only_if_the_ledger_lacks_something_in_them(area: StagingArea) -> None:
    """A run was killed after it had published outputs of an item that was done before; they were as before, or not."""
    file = PublishedFile("a.zip", 3, "ab" * 32, Verification.DIGEST, "zip")
    staging = Staging(area, Item("item", ""))
    for recorded, stay in ((file, False), (PublishedFile("a.zip", 4, "cd" * 32, Verification.DIGEST, "zip"), True)):
        staging.notes.publishing([file])
        area.tidy(_row("item", recorded))
        assert staging.notes.path.exists() == stay
    staging.whole(0, PART).write_text("whole")
    area.tidy(_row("item", file))
    assert staging.whole(0, PART).exists(), "its downloads stay"
