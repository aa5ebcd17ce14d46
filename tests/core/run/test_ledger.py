"""The ledger: claims, outcomes, runs that died, files that are not ledgers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import LedgerError
from argosy.model import Failure, Item, KeptFile, Outcome, Resource, State, Verification
from argosy.run.ledger import Ledger

ITEM = Item("a", "A", (Resource("http://h/a", "a.bin"),))


def opened(directory: Path) -> Ledger:
    (directory / ".argosy").mkdir(exist_ok=True)
    return Ledger(directory)


def queue(ledger: Ledger, *items: Item) -> None:
    ledger.requeue([(i.id, i.fingerprint(), i.title, i.to_json()) for i in items])


def test_an_item_is_claimed_once(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    claimed = one.claim("a")
    assert claimed is not None
    assert claimed[0] == ITEM
    assert two.claim("a") is None
    one.close()
    assert two.claim("a") is not None, "a run that ends gives back what it did not finish"
    two.close()


def test_outcomes_are_kept(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    ledger.claim("a")
    file = KeptFile("a.bin", 3, "00", Verification.LENGTH)
    ledger.record(Outcome("a", State.DONE, (file,), 3))
    ledger.close()
    ledger = Ledger(tmp_path, read_only=True)
    row = ledger.rows(["a"])["a"]
    assert (row.state, row.files, row.bytes) == ("done", (file,), 3)
    ledger.close()


def test_a_failure_keeps_its_cause_and_the_item(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    ledger.claim("a")
    ledger.record(Outcome("a", State.FAILED, failure=Failure("status", "404", "http://h/a")))
    assert ledger.rows(["a"])["a"].failure == Failure("status", "404", "http://h/a")
    assert ledger.counts() == {"failed": 1}
    ledger.close()


def test_a_run_that_is_not_the_owner_records_nothing(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    one.claim("a")
    two.record(Outcome("a", State.DONE))
    assert one.rows(["a"])["a"].state == "active"
    one.close()
    two.close()


def test_items_of_a_killed_run_are_taken_over(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    queue(ledger, ITEM)
    code = (
        "import os, sys; from pathlib import Path; from argosy.run.ledger import Ledger;"
        "l = Ledger(Path(sys.argv[1])); l.claim('a'); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert ledger.rows(["a"])["a"].state == "active"
    ledger.take_over()
    assert ledger.rows(["a"])["a"].state == "pending"
    ledger.close()


def test_items_of_a_living_run_are_left_to_it(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    queue(one, ITEM)
    one.claim("a")
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
    with pytest.raises(LedgerError, match="damaged"):
        Ledger(tmp_path)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.db.execute("PRAGMA user_version = 99")
    ledger.close()
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(tmp_path)


def test_reading_makes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none", read_only=True)
    assert ledger.counts() == {}
    ledger.close()
    assert list(tmp_path.iterdir()) == []
