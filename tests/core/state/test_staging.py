"""The folders of items under way, and how they serve one item after the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.models.items import Item, PublishedFile, Resource, Verification
from argosy.state.ledger import Row
from argosy.state.staging import Staging, StagingArea, staged_bytes

PART = Resource("https://library.example/a", "a")


@pytest.fixture
def area(tmp_path: Path) -> StagingArea:
    area = StagingArea(tmp_path)
    area.path.mkdir(parents=True)
    return area


def _row(id_: str, *files: PublishedFile) -> Row:
    """Return the ledger's row of an item that a dead run worked on."""
    return Row(id_, "", "active", "", files, 0, None)


def _prepared(area: StagingArea, id_: str, title: str = "") -> Staging:
    staging = Staging(area, Item(id_, title))
    staging.prepare()
    return staging


def _finish(area: StagingArea, id_: str) -> None:
    with area.finishing(id_):
        pass


def _left(area: StagingArea) -> list[str]:
    return sorted(str(path.relative_to(area.path)) for path in area.path.rglob("*") if path.is_file())


def test_a_finished_item_leaves_nothing_and_its_folder_serves_the_next(area: StagingArea) -> None:
    first = _prepared(area, "first")
    folder = first.folder.stat().st_ino
    first.whole(0, PART).write_text("whole")
    first.partial(1, PART).write_text("part")
    (first.scratch(0) / "deep").mkdir()
    (first.scratch(1) / "made").write_text("made")
    _finish(area, "first")
    assert _left(area) == []
    assert not first.folder.exists()
    second = _prepared(area, "second")
    assert second.folder.stat().st_ino == folder
    assert list(second.scratch(0).iterdir()) == list(second.scratch(1).iterdir()) == []
    _finish(area, "second")
    area.close()
    assert list(area.path.iterdir()) == []


def test_what_an_earlier_try_finished_is_kept_although_there_is_a_spare_folder(area: StagingArea) -> None:
    _prepared(area, "tried").whole(0, PART).write_text("whole")
    _prepared(area, "done")
    _finish(area, "done")
    again = _prepared(area, "tried")
    assert again.whole(0, PART).read_text() == "whole"
    _finish(area, "tried")
    assert _left(area) == []


def test_a_scratch_folder_is_empty_though_an_earlier_try_used_it(area: StagingArea) -> None:
    staging = _prepared(area, "item")
    (staging.scratch(0) / "half").write_text("half")
    assert list(staging.scratch(0).iterdir()) == []


def test_a_changed_item_keeps_the_resources_that_did_not_change(area: StagingArea) -> None:
    _prepared(area, "item", "old").whole(0, PART).write_text("whole")
    changed = _prepared(area, "item", "new")
    assert changed.whole(0, PART).read_text() == "whole"
    assert not changed.whole(0, Resource(PART.url, PART.path, size=5)).exists()
    _finish(area, "item")
    assert _left(area) == []


def test_spare_folders_of_a_run_that_died_are_found_and_no_others(area: StagingArea) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = area.path / f"spare-{dead.pid}-0"
    (left / "output-0").mkdir(parents=True)
    _prepared(area, "done")
    _finish(area, "done")
    assert area.dead() == [left]


def test_what_is_set_aside_comes_back_if_the_ledger_does_not_get_to_know_it(area: StagingArea) -> None:
    staging = _prepared(area, "item")
    staging.whole(0, PART).write_text("whole")
    with pytest.raises(OSError, match="full"), area.finishing("item"):
        raise OSError("full")
    assert staging.whole(0, PART).read_text() == "whole"
    code = (
        "import os, pathlib, sys; from argosy.state.staging import StagingArea\n"
        "with StagingArea(pathlib.Path(sys.argv[1])).finishing('item'): os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(area.path.parents[1])], check=False)
    assert (killed.returncode, staging.folder.exists(), len(area.dead())) == (-9, False, 1)
    area.tidy(_row("item"))
    assert (staging.whole(0, PART).read_text(), area.dead()) == ("whole", [])


def test_a_spare_folder_that_is_gone_is_made_anew(area: StagingArea) -> None:
    _prepared(area, "done")
    _finish(area, "done")
    for path in area.path.glob("spare-*"):
        shutil.rmtree(path)
    assert _prepared(area, "next").folder.is_dir()


def test_what_is_staged_is_told_from_another_resource(area: StagingArea, tmp_path: Path) -> None:
    """A source may expand an item to other resources the next time; a promised digest outlives another URL."""
    staging = _prepared(area, "item")
    elsewhere = Resource("https://library.example/b", "a")
    proven = [Resource(f"https://library.example/{n}", "a", digests={"md5": "0" * 32}) for n in "ab"]
    names = [staging.whole(0, resource) for resource in (PART, elsewhere, *proven)]
    assert (len(set(names)), names[2]) == (3, names[3])
    names[0].write_text("whole")
    staging.partial(1, PART).write_text("part")
    assert staged_bytes(tmp_path) == 9


def test_of_an_item_that_a_dead_run_left_only_what_it_fetched_stays(area: StagingArea) -> None:
    staging = _prepared(area, "left")
    staging.whole(0, PART).write_text("whole")
    staging.partial(1, PART).write_text("part")
    staging.kept(2).write_text("stands under its final name, too")
    (staging.scratch(0) / "half.zip").write_text("half")
    _prepared(area, "another").kept(0).write_text("of a run that lives")
    area.tidy(_row("left"))
    area.tidy(_row("never begun"))
    fetched = {staging.whole(0, PART), staging.partial(1, PART)}
    assert set(staging.folder.iterdir()) == fetched
    assert len(_left(area)) == len(fetched) + 1, "what another run has stays as well"


def test_notes_stay_after_a_kill_only_if_the_ledger_lacks_something_in_them(area: StagingArea) -> None:
    """A run was killed after it had published outputs of an item that was done before; they were as before, or not."""
    file = PublishedFile("a.zip", 3, "ab" * 32, Verification.DIGEST, "zip")
    for recorded, stay in ((file, False), (PublishedFile("a.zip", 4, "cd" * 32, Verification.DIGEST, "zip"), True)):
        staging = _prepared(area, "item")
        staging.notes.publishing([file])
        area.tidy(_row("item", recorded))
        assert staging.folder.exists() == stay
    staging.whole(0, PART).write_text("whole")
    area.tidy(_row("item", file))
    assert staging.whole(0, PART).exists(), "its downloads stay"
