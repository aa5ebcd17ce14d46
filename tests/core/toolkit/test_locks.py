"""Locks across threads and processes."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import StoreError
from argosy.toolkit.locks import FairLock, FileLock, once
from argosy_devkit.contracts.waiting import Thread, wait_until, wait_until_still
from signals import interrupt_wait

#: Holds a lock until its stdin ends.
_HOLDER = """\
import sys
from pathlib import Path
from argosy.toolkit.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def _start_holder(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_fair_lock_serves_in_order() -> None:
    lock, order = FairLock(), list[int]()
    lock.acquire()

    def work(number: int) -> None:
        lock.acquire()
        order.append(number)
        lock.release()

    threads = []
    for number in range(6):
        threads.append(Thread(lambda n=number: work(n)))  # type: ignore[misc]  # a default binds the number
        wait_until(lambda: len(lock._waiting) == len(threads), "a thread to queue")
    lock.release()
    for thread in threads:
        thread.result()
    assert order == list(range(6))


def test_a_fair_lock_is_not_handed_to_one_that_came_later() -> None:
    lock = FairLock()
    lock.acquire()
    waiter = Thread(lock.acquire)
    wait_until(lambda: lock._waiting, "a thread to queue")
    lock.release()
    assert lock.acquire(wait=False) is False, "the lock was to be handed to the waiter, not freed"
    assert waiter.result() is True


def test_a_waiter_that_is_interrupted_is_not_handed_the_lock() -> None:
    lock = FairLock()
    lock.acquire()
    interrupt_wait(lock.acquire, lambda: lock._waiting)
    lock.release()
    assert lock.acquire(wait=False), "the lock was handed to a thread that had given up"


def test_once_calls_once() -> None:
    calls: list[int] = []
    call = once(lambda: calls.append(1))
    for thread in [Thread(call) for _ in range(8)]:
        thread.result()
    assert calls == [1]


def test_a_file_lock_excludes_another_process_and_dies_with_it(path: Path) -> None:
    lock = FileLock(path)
    with _start_holder(path) as holder:
        assert lock.acquire(wait=False) is False
        waiting = Thread(lock.acquire)
        holder.kill()
    assert waiting.result() is True
    lock.release()
    lock.release()  # nothing happens


def test_a_lock_file_is_private_whatever_the_umask(path: Path) -> None:
    umask = os.umask(0)
    try:
        FileLock(path).acquire()
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_on_a_removed_file_does_not_count(path: Path) -> None:
    with _start_holder(path) as holder:
        lock = FileLock(path)
        waiting = Thread(lock.acquire)
        wait_until_still(waiting)
        path.unlink()
        other = FileLock(path)
        assert other.acquire(wait=False), "the file was made anew"
        holder.kill()
    other.release()
    assert waiting.result() is True
    assert FileLock(path).acquire(wait=False) is False, "the waiter must hold the file that is there"
    lock.release()


@pytest.mark.parametrize("what", ["symlink", "directory", "no folder"])
def test_a_lock_file_that_cannot_be_used_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.lock"
    if what == "symlink":
        (tmp_path / "other").touch()
        path.symlink_to(tmp_path / "other")
    elif what == "directory":
        path.mkdir()
    else:
        path = tmp_path / "missing" / "a.lock"
    with pytest.raises(StoreError, match=r"lock file .*a\.lock cannot be used") as error:
        FileLock(path).acquire()
    assert "local disk" in (error.value.hint or "")


def test_a_lock_that_is_not_taken_after_all_keeps_nobody_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FileLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(lock, "_is_current", (path / "nowhere").stat)
        with pytest.raises(StoreError):
            lock.acquire()
    other = FileLock(path)
    assert other.acquire(wait=False), "the descriptor was left open, and the lock with it"
    other.release()


def test_a_lock_whose_release_fails_is_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FileLock(path)
    lock.acquire()

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        lock.release()
    assert FileLock(path).acquire(wait=False)


def test_a_lock_is_not_shared_with_a_fork(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    lock.release()  # its file stays open
    lock.acquire()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        lock.release()  # what it inherited is not its own to free
        os._exit(7 if not lock.acquire(wait=False) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, "the fork was let in"
    assert not FileLock(path).acquire(wait=False), "the fork has freed the lock"
    lock.release()
