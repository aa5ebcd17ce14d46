"""A run of thousands of small files that is killed again and again: nothing is damaged, lost or fetched twice.

Their outcomes are recorded in groups, so a kill finds files that are published and not recorded, items that are claimed
and not begun, and files in staging that belong to neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from argosy_devkit import Expected, LibraryServer
from voyage import Voyage, set_out

pytestmark = pytest.mark.slow

#: Kills for each variant, and the files of a download that is killed so often. 200 kills take some four minutes.
KILLS = int(os.environ.get("ARGOSY_TEST_SMALL_FILE_KILLS", "20"))
FILES = int(os.environ.get("ARGOSY_TEST_SMALL_FILES", "5000"))

#: Kills of one download.
KILLS_PER_DOWNLOAD = 50

VARIANTS: dict[str, dict[str, Any]] = {
    "file": {"durability": "file"},
    "run": {"durability": "run", "digests": False},
    "file-curl": {"durability": "file", "transport": "curl", "digests": False},
    "run-curl": {"durability": "run", "transport": "curl", "resources_per_item": 2},
}


@dataclass
class Watched:
    """A download that is killed, and what must not be fetched any more."""

    voyage: Voyage
    by_name: dict[str, Expected]
    seen: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # the published files that were read
    settled: dict[str, tuple[int, str]] = field(default_factory=dict)  # by path: its requests, and since when
    found: Counter[str] = field(default_factory=Counter)  # what kills left

    @property
    def published(self) -> int:
        """Roughly how many items have files under final names."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.voyage.library) as entries:
            return sum(1 for _ in entries) - 1
        return 0

    def check(self, kill: int) -> None:
        """Check what a kill left, before another run touches it."""
        requests = self.voyage.server.stats().requests_by_path
        done = self._done()
        published = self._published()
        for name in done:
            assert name in published, f"kill {kill}: the ledger calls {name} done, and it is missing"
        staged = self._staged()
        for reason, names in (("done", done), ("published", published), ("staged", staged)):
            for name in names:
                path = self.by_name[name].path
                self.settled.setdefault(path, (requests[path], f"{reason} at kill {kill}"))
        self.found["published and not recorded"] += len(published) - len(done)
        self.found["staged"] += len(staged - published)
        self.check_requests(requests)

    def check_requests(self, requests: Any) -> None:
        """Check that nothing was requested again that was here."""
        again = [f"{p}: {why}" for p, (number, why) in self.settled.items() if requests[p] != number]
        assert again == [], "requested again"

    def _done(self) -> set[str]:
        """Return the names of the files that the ledger calls done, from a copy: reading it would tidy it."""
        private = self.voyage.library / ".argosy"
        copy = self.voyage.root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in private.glob("ledger.sqlite*"):
            shutil.copy(path, copy)
        if not (copy / "ledger.sqlite").exists():
            return set()
        with contextlib.closing(sqlite3.connect(copy / "ledger.sqlite")) as db:
            try:
                ids = {id_ for (id_,) in db.execute("SELECT id FROM items WHERE state = 'done'")}
            except sqlite3.OperationalError:  # killed before it made the tables
                return set()
        return {name for name in self.by_name if name.partition("/")[0] in ids}

    def _published(self) -> set[str]:
        """Return what has a final name; each file must be whole."""
        library = self.voyage.library
        names = set()
        for folder, folders, files in os.walk(library):
            if folder == str(library):
                folders[:] = [name for name in folders if name != ".argosy"]
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(library).as_posix()
                found = path.stat()
                signature = (found.st_ino, found.st_mtime_ns, found.st_size)
                if self.seen.get(name) != signature:
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    assert digest == self.by_name[name].sha256, f"{name} is not whole, or of nobody"
                    self.seen[name] = signature
                names.add(name)
        return names

    def _staged(self) -> set[str]:
        """Return the names of the files that are whole in staging."""
        found = set()
        by_digest = {expected.sha256: name for name, expected in self.by_name.items()}
        for path in (self.voyage.library / ".argosy" / "staging").glob("*"):
            if path.is_file() and path.suffix not in (".part", ".jsonl", ".kept"):
                found.add(by_digest[hashlib.sha256(path.read_bytes()).hexdigest()])
        return found


def kill_once(watched: Watched, dice: random.Random, kills_left: int) -> int:
    """Start a run and kill it at a random moment; return how it ended."""
    voyage = watched.voyage
    process = voyage.start("--quiet")
    if dice.random() < 0.3:  # while it starts, plans, or takes over what the run before has left
        time.sleep(dice.uniform(0, 0.7))
    else:  # after so many more items, in the middle of some step
        before = watched.published
        left = len({name.partition("/")[0] for name in watched.by_name}) - before
        enough = before + dice.randint(1, max(1, 2 * left // (kills_left + 1)))
        while process.poll() is None and watched.published < enough:
            time.sleep(0.02)  # looking takes a while itself
        time.sleep(dice.uniform(0, 0.05))
    process.kill()
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.torture(47)
@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_small_files_killed_at_random_moments(
    tmp_path: Path, library_server: Callable[..., LibraryServer], variant: str
) -> None:
    seed = int(os.environ.get("ARGOSY_TEST_SEED", "0")) or random.randrange(1, 2**32)
    print(f"seed: ARGOSY_TEST_SEED={seed}")  # shown where the test fails
    dice = random.Random(seed)
    server = library_server(lease_mode="open")
    kills = downloads = 0
    found: Counter[str] = Counter()
    while kills < KILLS:
        downloads += 1
        root = tmp_path / f"{downloads}"
        root.mkdir()
        options = VARIANTS[variant]
        items = FILES // options.get("resources_per_item", 1)
        voyage = set_out(root, server, items=items, size=lambda number: 500 + number % 5000, max_workers=16, **options)
        del voyage.config["auth"], voyage.config["cookie_store"]
        server.reset_stats()
        watched = Watched(voyage, {expected.name: expected for expected in voyage.expected})
        last = min(KILLS - kills, KILLS_PER_DOWNLOAD)
        for number in range(last):
            if kill_once(watched, dice, last - number) == 0:
                break  # it was done before the kill came
            kills += 1
            watched.check(kills)
        end = voyage.run("--quiet")
        assert (end.returncode, end.stderr, voyage.wrong()) == (0, "", [])
        assert [path.name for path in (voyage.library / ".argosy" / "staging").iterdir()] == []
        watched.check_requests(server.stats().requests_by_path)
        assert len(watched._done()) == FILES
        found += watched.found
        shutil.rmtree(root)
    print(f"{kills} kills of {downloads} downloads of {FILES} files; found after them: {dict(found)}")
