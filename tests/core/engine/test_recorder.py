"""Outcomes are recorded in groups: what is done survives, what fails is undone, and memory stays bounded."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from argosy.engine import recorder as module
from argosy.engine.recorder import Recorder
from argosy.errors import StorageError
from argosy.interfaces import PluginContext
from argosy.models.items import Item, Outcome, PublishedFile, Resource, State, Verification
from argosy.state.ledger import Ledger
from argosy.state.staging import Staging, StagingArea
from argosy_plugins.storages.folder import FolderStorage


class Disk(FolderStorage):
    """A disk that can be slow, or fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__({}, PluginContext(directory=directory))
        self.groups: list[Sequence[str]] = []
        self.ready = threading.Event()
        self.ready.set()
        self.error: OSError | None = None

    def settle(self, names: Sequence[str]) -> None:
        self.groups.append(names)
        self.ready.wait(30)
        if self.error is not None:
            raise self.error
        super().settle(names)


class Setting:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = Disk(directory)
        (directory / ".argosy").mkdir()
        self.ledger = Ledger(directory)
        self.ledger.storage = self.disk
        self.staging = StagingArea(directory)
        self.staging.prepare()
        self.recorded: list[Outcome] = []

    def items(self, count: int) -> list[Outcome]:
        """Queue and claim items, stage and publish their files, and return their outcomes."""
        outcomes = []
        for number in range(count):
            item = Item(str(number), "", (Resource(f"https://library.example/{number}", f"{number}"),))
            self.ledger.requeue([(item.id, item.fingerprint(), item.title, item.to_json())])
            staging = Staging(self.staging, item)
            whole = staging.whole(0, item.resources[0])
            whole.write_bytes(b"abc")
            os.link(whole, self.directory / item.id)
            files = (PublishedFile(item.id, 3, "00", Verification.LENGTH),)
            outcomes.append(Outcome(item.id, State.DONE, files, 3, staged=staging.names()))
        self.ledger.claim([outcome.item for outcome in outcomes])
        return outcomes

    def recorder(self) -> Recorder:
        return Recorder(self.directory, self.ledger, self.disk, self.staging, self.recorded.append)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path)
    yield setting
    setting.ledger.close()


def test_what_comes_during_one_group_is_the_next_one(setting: Setting) -> None:
    outcomes = setting.items(9)
    setting.disk.ready.clear()
    with setting.recorder() as recorder:
        recorder.put(outcomes[0])
        while not setting.disk.groups:
            threading.Event().wait(0.001)
        for outcome in outcomes[1:]:
            recorder.put(outcome)
        assert setting.ledger.counts() == {"active": 9}, "nothing is done before its folder is synced"
        setting.disk.ready.set()
    assert [len(group) for group in setting.disk.groups] == [1, 8]
    assert setting.ledger.counts() == {"done": 9}
    assert [outcome.item for outcome in setting.recorded] == [outcome.item for outcome in outcomes]
    assert list(setting.staging.path.iterdir()) == []


@pytest.mark.torture(37)
def test_a_folder_that_cannot_be_synced_undoes_its_group(setting: Setting) -> None:
    outcomes, failed = setting.items(3), Outcome("other", State.FAILED)
    setting.disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
    with setting.recorder() as recorder:
        for outcome in (*outcomes, failed):
            recorder.put(outcome)
    undone = [outcome for outcome in setting.recorded if outcome.item != "other"]
    assert {outcome.state for outcome in undone} == {State.REQUEUED}
    assert all(isinstance(outcome.fatal, StorageError) for outcome in undone)
    assert setting.ledger.counts() == {"pending": 3}
    assert len(list(setting.staging.path.iterdir())) == 3, "what was downloaded stays"


def test_a_ledger_that_fails_ends_it(setting: Setting) -> None:
    outcomes = setting.items(2)
    setting.ledger.db.execute("DROP TABLE changes")
    with pytest.raises(StorageError, match="ledger"), setting.recorder() as recorder:  # noqa: PT012 - two calls raise
        recorder.put(outcomes[0])
        with pytest.raises(StorageError, match="ledger"):
            recorder.flush()
        recorder.put(outcomes[1])
    with pytest.raises(StorageError, match="ledger"), setting.recorder() as recorder:
        recorder.put(outcomes[0])
    assert setting.recorded == []


def test_no_more_than_so_many_wait(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 4)
    outcomes = setting.items(12)
    handed_over: list[Outcome] = []
    setting.disk.ready.clear()

    def hand_over() -> None:
        for outcome in outcomes:
            recorder.put(outcome)
            handed_over.append(outcome)

    with setting.recorder() as recorder:
        thread = threading.Thread(target=hand_over)
        thread.start()
        thread.join(0.3)
        assert len(handed_over) <= 5, "those of one group, and those that wait"
        setting.disk.ready.set()
        thread.join()
    assert setting.ledger.counts() == {"done": 12}
