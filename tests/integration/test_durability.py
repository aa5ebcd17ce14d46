"""Files that are synced together: after a kill nothing is fetched again, and after a power failure only what was lost."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from argosy_devkit import Fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


def ledger(voyage: Voyage) -> contextlib.closing[sqlite3.Connection]:
    path = voyage.library / ".argosy" / "ledger.sqlite"
    return contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None))


def unsynced(voyage: Voyage) -> set[str]:
    with ledger(voyage) as db:
        return {id_ for (id_,) in db.execute("SELECT id FROM unsynced")}


@pytest.fixture
def killed(set_sail: SetSail) -> Any:
    """Return a download that was killed with all items but one done, and not synced."""
    voyage = set_sail(items=20, durability="run", max_workers=4, digests=False)
    voyage.server.change(faults=[Fault("slow_drip", path=voyage.expected[-1].path)])
    running = voyage.start()
    end = time.monotonic() + 60
    while len(voyage.done()) < 19 and time.monotonic() < end:
        time.sleep(0.01)
    running.kill()
    running.communicate()
    voyage.server.change(faults=[])
    voyage.server.reset_stats()
    return voyage


def test_everything_is_synced_in_the_end(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, durability="run", output=["files", "zip"])
    assert voyage.run().returncode == 0
    assert (unsynced(voyage), len(voyage.done())) == (set(), 20)


def test_a_kill_loses_nothing(killed: Voyage) -> None:
    assert len(unsynced(killed)) == 19
    assert (killed.run().returncode, killed.wrong(), unsynced(killed)) == (0, [], set())
    assert sum(killed.server.stats().bodies_completed.values()) == 1


@pytest.mark.torture(112)
def test_after_a_power_failure_what_was_lost_is_fetched_again(killed: Voyage) -> None:
    with ledger(killed) as db:
        db.execute("UPDATE unsynced SET boot = 'another'")
    whole, cut, gone = (killed.library / expected.name for expected in killed.expected[:3])
    whole.write_bytes(bytes(whole.stat().st_size))  # the size came to the disk, and the data did not
    cut.write_bytes(cut.read_bytes()[:100])
    gone.unlink()
    again = killed.run()
    assert (again.returncode, killed.wrong(), unsynced(killed)) == (0, [], set())
    assert (
        "3 finished items were not on the disk yet when the machine stopped; `argosy download` fetches them again."
        in again.stdout + again.stderr
    )
    assert sum(killed.server.stats().bodies_completed.values()) == 4
