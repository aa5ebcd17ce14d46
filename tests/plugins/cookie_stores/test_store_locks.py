"""The lock files of cookie stores: turns between processes, and file systems without locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import StoreError
from argosy.toolkit.locks import FileLock
from argosy_devkit.contracts.waiting import Thread, wait_until, wait_until_still
from argosy_plugins.cookie_stores._locks import HostLock, StoreLocks
from signals import interrupt_wait


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def test_a_file_lock_that_is_interrupted_frees_the_threads(path: Path) -> None:
    held = HostLock(path).acquire()
    assert held is not None
    lock = HostLock(path)
    interrupt_wait(lock.acquire, lambda: not _is_free(lock))
    held()
    release = lock.acquire()
    assert release is not None
    release()


def _is_free(lock: HostLock) -> bool:
    free = lock._threads.acquire(wait=False)
    if free:
        lock._threads.release()
    return free


def test_locks_work_here(tmp_path: Path) -> None:
    release = StoreLocks(tmp_path / "new" / "store", "json").hold("default")
    assert release is not None
    release()
    assert FileLock(tmp_path / "new" / "store.lock").acquire(wait=False), "the test of the lock must free it"


@pytest.mark.torture(42)
def test_a_lock_that_lets_others_in_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what a network file system without locks does: flock succeeds for everybody
    monkeypatch.setattr("fcntl.flock", lambda fd, operation: None)
    locks = StoreLocks(tmp_path / "store", "json")
    with pytest.raises(StoreError, match="File locks do not work"):
        locks.write()
    with pytest.raises(StoreError, match="File locks do not work"):
        locks.hold("default")


def test_a_host_lock_queues_threads_and_meets_the_file_once(path: Path) -> None:
    lock, other = HostLock(path), HostLock(path)
    release = lock.acquire()
    assert release is not None
    assert lock.acquire(wait=False) is None
    assert other.acquire(wait=False) is None
    waiting = Thread(lock.acquire)
    wait_until(lambda: lock._threads._waiting, "a thread to queue")
    Thread(release).result()
    release()
    second = waiting.result()
    assert lock.acquire(wait=False) is None
    second()
    free = other.acquire(wait=False)
    assert free is not None
    free()


def test_whoever_freed_the_lock_gives_way_to_those_who_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy_plugins.cookie_stores._locks._JUST_NOW", float("inf"))  # however slow this machine is
    lock, other = HostLock(path), HostLock(path)
    for _ in range(20):
        release = lock.acquire()
        assert release is not None
        waiting = Thread(other.acquire)
        wait_until(lock._others_wait, "the other one to wait")
        release()
        assert lock.acquire(wait=False) is None, "it came before one who waited longer"
        second = waiting.result()
        assert second is not None
        second()


#: Waits for a lock.
_WAITER = """\
import sys
from pathlib import Path
from argosy_plugins.cookie_stores._locks import HostLock
lock = HostLock(Path(sys.argv[1]))
print("ready", flush=True)
lock.acquire()
"""


def test_a_waiter_that_is_stopped_holds_nobody_up(path: Path) -> None:
    lock = HostLock(path)
    release = lock.acquire()
    assert release is not None
    with subprocess.Popen([sys.executable, "-c", _WAITER, str(path)], stdout=subprocess.PIPE) as waiter:
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == b"ready\n"
        wait_until(lock._others_wait, "the other one to wait")
        waiter.send_signal(signal.SIGSTOP)
        os.waitpid(waiter.pid, os.WUNTRACED)
        for _ in range(3):
            release()
            release = lock.acquire()
            assert release is not None
        waiter.kill()


def test_a_lock_is_as_good_without_the_file_of_those_who_wait(path: Path) -> None:
    path.with_name("a.lock.waiting").mkdir()
    lock, other = HostLock(path), HostLock(path)
    release = lock.acquire()
    assert release is not None
    assert other.acquire(wait=False) is None
    waiting = Thread(other.acquire)
    wait_until_still(waiting)
    release()
    second = waiting.result()
    assert second is not None
    second()
