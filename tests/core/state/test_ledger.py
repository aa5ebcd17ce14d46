"""The ledger: claims, outcomes, runs that died, files that are not ledgers."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from argosy.errors import StorageError
from argosy.interfaces import PluginContext
from argosy.models.items import (
    DownloadRecord,
    Failure,
    Item,
    Outcome,
    PublishedFile,
    Resource,
    State,
    Verification,
)
from argosy.models.response_record import ResponseRecord
from argosy.models.shard import Shard
from argosy.state.ledger import Ledger
from argosy.state.shards import homes, open_ledger, take
from argosy_plugins.storages.folder import FolderStorage

ITEM = Item("a", "A", (Resource("http://h/a", "a.bin"),))


def opened(directory: Path) -> Ledger:
    (directory / ".argosy").mkdir(exist_ok=True)
    ledger = Ledger(directory)
    ledger.storage = FolderStorage({}, PluginContext(directory=directory))
    return ledger


def queue(ledger: Ledger, *items: Item) -> None:
    ledger.requeue([(i.id, i.fingerprint(), i.title, i.to_json()) for i in items])


def test_an_item_is_claimed_once(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    (claimed,) = one.claim(["a", "b"]).values()
    assert Item.from_json(claimed[2]) == ITEM
    assert two.claim(["a"]) == {}
    one.close()
    assert "a" in two.claim(["a"]), "a run that ends gives back what it did not finish"
    two.close()


def test_outcomes_are_kept(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    ledger.claim(["a"])
    file = PublishedFile("a.bin", 3, "00", Verification.LENGTH)
    ledger.record([Outcome("a", State.DONE, (file,), 3)])
    ledger.close()
    ledger = Ledger(tmp_path, read_only=True)
    row = ledger.rows(["a"])["a"]
    assert (row.state, row.files, row.bytes) == ("done", (file,), 3)
    ledger.close()


def test_a_failure_keeps_its_cause_and_the_item(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    ledger.claim(["a"])
    ledger.record([Outcome("a", State.FAILED, failure=Failure("status", "404", "http://h/a"))])
    assert ledger.rows(["a"])["a"].failure == Failure("status", "404", "http://h/a", id="a", title="A")
    assert ledger.counts() == {"failed": 1}
    ledger.close()


def test_a_run_that_is_not_the_owner_records_nothing(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    one.claim(["a"])
    two.record([Outcome("a", State.DONE)])
    assert one.rows(["a"])["a"].state == "active"
    one.close()
    two.close()


def test_items_of_a_killed_run_are_taken_over(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    code = (
        "import os, sys; from pathlib import Path; from argosy.state.ledger import Ledger;"
        "l = Ledger(Path(sys.argv[1])); l.claim(['a']); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert ledger.rows(["a"])["a"].state == "active"
    tidied: list[tuple[str, str]] = []
    ledger.take_over(lambda row: tidied.append((row.id, row.state)))
    assert tidied == [("a", "active")], "nobody else can have it by then"
    assert ledger.rows(["a"])["a"].state == "pending"
    ledger.close()


def test_items_of_a_living_run_are_left_to_it(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    one.claim(["a"])
    two.take_over()
    assert (two.is_alive(one.run), two.rows(["a"])["a"].state) == (True, "active")
    one.close()
    assert not two.is_alive(one.run)
    two.close()


@pytest.mark.torture(41)
def test_a_damaged_ledger_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".argosy").mkdir()
    path = tmp_path / ".argosy" / "ledger.sqlite"
    path.write_bytes(b"this is no database, however one looks at it" * 50)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        Ledger(tmp_path)
    assert path.read_bytes() == before


def test_reading_makes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none", read_only=True)
    assert ledger.counts() == {}
    ledger.close()
    assert list(tmp_path.iterdir()) == []


HEAD = ResponseRecord(
    "http://h/a", 200, "OK", "HTTP/1.1", (("Last-Modified", "Thu, 01 Jan 1970 00:01:40 GMT"),), (), 7.0
)
KNOWN = DownloadRecord(ITEM, ((3, "00", Verification.LENGTH, HEAD),))
FILE = PublishedFile("a.bin", 3, "00", Verification.LENGTH, "files")


def done(ledger: Ledger) -> None:
    queue(ledger, ITEM)
    ledger.claim(["a"])
    ledger.record([Outcome("a", State.DONE, (FILE,), 3, outputs=("files",), known=KNOWN.pack())])


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    assert ledger.remembered("a") == KNOWN
    assert HEAD.modified == 100.0
    ((item, files),) = ((one.item, one.files) for one in ledger.finished())
    assert (item, files) == (ITEM, (FILE,))
    ledger.close()


@pytest.mark.parametrize("state", [State.FAILED, State.REQUEUED])
def test_a_done_item_of_which_more_is_made_stays_done(tmp_path: Path, state: State) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    claimed = ledger.claim(["a"], "done")["a"]
    assert (claimed[0].outputs, claimed[1]) == (("files",), KNOWN)
    assert ledger.claim(["a"], "done") == {}
    assert [one.item.id for one in ledger.finished()] == ["a"], "it is done all the while"
    failure = Failure("plugin", "no", id="a", title="A") if state is State.FAILED else None
    ledger.record([Outcome("a", state, failure=failure, fresh=False)])
    row = ledger.rows(["a"])["a"]
    assert (row.state, row.files, row.failure, row.bytes) == ("done", (FILE,), failure, 3)
    ledger.close()


@pytest.mark.torture(47)
def test_a_done_item_of_a_run_that_was_killed_is_done(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    code = (
        "import os, sys; from pathlib import Path; from argosy.state.ledger import Ledger;"
        "l = Ledger(Path(sys.argv[1])); assert l.claim(['a'], 'done'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    ledger.take_over()
    assert ledger.rows(["a"])["a"].state == "done"
    ledger.close()


def test_more_outputs_are_added_and_fresh_ones_take_the_place_of_all(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    archive = PublishedFile("a.zip", 9, "11", Verification.DIGEST, "zip")
    (tmp_path / "a.bin").write_bytes(b"abc")
    ledger.claim(["a"], "done")
    ledger.record([Outcome("a", State.DONE, (archive,), outputs=("zip",), fresh=False)])
    row = ledger.rows(["a"])["a"]
    assert (row.outputs, row.files, row.bytes) == (("files", "zip"), (FILE, archive), 3)
    queue(ledger, ITEM)
    claimed = ledger.claim(["a"])["a"]
    assert claimed[1] == KNOWN, "it is the same item"
    ledger.record([Outcome("a", State.DONE, (archive,), 5, outputs=("zip",), known=KNOWN.pack())])
    row = ledger.rows(["a"])["a"]
    assert (row.outputs, row.bytes) == (("zip",), 5)
    assert row.files == (FILE, archive), "the other file is out of date, but may be replaced later"
    ledger.close()


def test_what_another_output_made_and_somebody_removed_is_forgotten(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    archive = PublishedFile("a.zip", 9, "11", Verification.DIGEST, "zip")
    ledger.claim(["a"], "done")
    ledger.record([Outcome("a", State.DONE, (archive,), outputs=("zip",), fresh=False)])
    row = ledger.rows(["a"])["a"]
    assert (row.outputs, row.files) == (("zip",), (archive,))
    ledger.close()


def test_another_item_of_the_same_id_is_not_remembered(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    done(ledger)
    queue(ledger, Item("a", "Another", ITEM.resources))
    claimed = ledger.claim(["a"])["a"]
    assert claimed[1] is None
    ledger.close()


def test_what_is_done_has_a_number_that_changes_with_it(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    numbers = [ledger.changes()]
    done(ledger)
    numbers.append(ledger.changes())
    ledger.claim(["a"], "done")
    ledger.record([Outcome("a", State.FAILED, failure=Failure("plugin", "no"), fresh=False)])
    assert ledger.changes() == numbers[-1]
    ledger.mark_damaged("a", {"a.bin": "is missing"})
    numbers.append(ledger.changes())
    assert len(set(numbers)) == 3
    ledger.close()


def test_files_over_all_items_are_claimed_before_they_are_there(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.claim_aggregated("index", ["index.jsonl"])
    assert ledger.aggregated() == {"index.jsonl": (None, 0, "index")}
    file = PublishedFile("index.jsonl", 1, "00", Verification.DIGEST, "index")
    ledger.record_aggregated("index", [file], 4)
    assert ledger.aggregated("index") == {"index.jsonl": (file, 4, "index")}
    assert ledger.aggregated("other") == {}
    ledger.close()


#: Opens new ledgers, each at the very moment in which another process does.
BEGINNER = """
import os, sys
from pathlib import Path
from argosy.state.ledger import Ledger
from argosy.state.shards import take

me, other = sys.argv[2:]
for number in range(100):
    directory = Path(sys.argv[1], str(number))
    (directory / ".argosy").mkdir(parents=True, exist_ok=True)
    (directory / me).touch()
    while not (directory / other).exists():
        os.sched_yield()
    Ledger(directory).close()
"""


def test_two_that_begin_at_once_both_get_a_new_ledger(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", BEGINNER, str(tmp_path)]
    both = [
        subprocess.Popen([*command, *names], stderr=subprocess.PIPE, text=True) for names in (("a", "b"), ("b", "a"))
    ]
    assert [(process.communicate(timeout=100)[1], process.returncode) for process in both] == [("", 0)] * 2


def finished(directory: Path, id_: str, size: int, *, known: bytes | None = None) -> None:
    ledger = opened(directory)
    queue(ledger, Item(id_, id_.upper(), (Resource(f"http://h/{id_}", f"{size}.bin"),)))
    ledger.claim([id_])
    file = PublishedFile(f"{size}.bin", size, "00", Verification.LENGTH)
    ledger.record([Outcome(id_, State.DONE, (file,), size, known=known)], synced=False)
    ledger.close()


def test_what_another_ledger_has_finished_is_adopted_if_it_is_newer(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    finished(one, "older", 1)
    finished(two, "older", 2, known=b"two")
    finished(two, "newer", 3)
    finished(one, "newer", 4)
    finished(two, "only", 5)
    finished(two, "not ours", 6)
    ledger = opened(one)
    queue(ledger, Item("only", "Only"), Item("pending", "P"))
    ledger.claim(["pending"])
    before = ledger.changes()
    for _ in range(2):
        take(ledger, two, lambda id_: id_ != "not ours")
        assert ledger.changes() == before + 1, "nothing new the second time"
        found = {row.id: (row.state, [file.size for file in row.files]) for row in ledger.all_rows()}
        assert found == {
            "older": ("done", [2]),
            "newer": ("done", [4]),
            "only": ("done", [5]),
            "pending": ("active", []),
        }
    assert set(ledger.unsynced()) == {"older", "newer", "only"}
    ledger.close()
    with closing(Ledger(two, read_only=True)) as other:
        assert {row.id for row in other.all_rows()} == {"older", "newer", "only", "not ours"}


def test_a_reader_of_a_shard_does_not_stop_its_run(tmp_path: Path) -> None:
    """Other machines cannot use the shared memory that lets readers and a writer work side by side."""
    home = tmp_path / ".argosy" / "shards" / "1-of-2"
    home.mkdir(parents=True)
    ledger = opened(home)
    assert ledger.db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
    queue(ledger, *(Item(str(n), "") for n in range(3)))
    reader = Ledger(home, read_only=True)
    rows = reader.all_rows()
    next(rows)
    ledger.db.execute("PRAGMA busy_timeout = 0")
    queue(ledger, Item("more", ""))
    assert [row.id for row in rows] == ["1", "2"]
    reader.close()
    ledger.close()


def test_only_its_user_can_change_the_folders_above_the_ledger_of_a_shard(tmp_path: Path) -> None:
    shard = Shard(1, 2)
    open_ledger(tmp_path, shard).close()
    folders = [tmp_path / ".argosy", *(tmp_path / ".argosy").rglob("*")]
    assert all(path.stat().st_mode & 0o022 == 0 for path in folders)
    for path in folders:
        path.chmod(0o777)
    ledger = open_ledger(tmp_path, shard)
    above = [tmp_path / ".argosy" / name for name in ("", "shards", "shards/1-of-2", "shards/1-of-2/.argosy")]
    assert all(path.stat().st_mode & 0o022 == 0 for path in (*above, ledger.path))
    assert len(ledger.notices) == 5
    ledger.close()


def test_the_ledger_of_a_shard_that_just_begins_is_none(tmp_path: Path) -> None:
    home = tmp_path / ".argosy" / "shards" / "1-of-2" / ".argosy"
    home.mkdir(parents=True)
    (home / "ledger.sqlite").touch()
    assert homes(tmp_path) == {}
    open_ledger(tmp_path, None).close()
    open_ledger(tmp_path, Shard(1, 2)).close()
    assert list(homes(tmp_path)) == [None, Shard(1, 2)]
