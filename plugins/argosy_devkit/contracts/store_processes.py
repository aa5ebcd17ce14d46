"""The code that other processes run for the contract of cookie stores; a separate module, because they import it."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from argosy.errors import StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.models.cookie import Cookie
from argosy.models.session import Holder, SessionRecord, Status

#: The session of all tests.
SESSION = "default"

#: Seconds after which another process that does not answer counts as stuck.
PATIENCE = 60.0

_Spec = TypeVar("_Spec")


@dataclass(frozen=True)
class StoreSpec:
    """Opens the same store in any process; relative paths are relative to `base`."""

    plugin: type[CookieStore]
    options: Mapping[str, Any]
    base: Path

    def make(self) -> CookieStore:
        """Open the store."""
        return self.plugin(self.options, PluginContext(base=self.base, directory=self.base))


class OtherProcess:
    """Another process that obeys orders one by one."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self._pipe = pipe

    def tell(self, order: str) -> None:
        """Give an order without waiting for it."""
        self._pipe.send(order)

    def answer(self) -> Any:
        """Wait for the answer to the oldest order; raise its exception."""
        assert self._pipe.poll(PATIENCE), f"another process did not answer within {PATIENCE:.0f} s"
        try:
            answer = self._pipe.recv()
        except EOFError:
            self.process.join()
            raise AssertionError(
                f"another process ended with exit status {self.process.exitcode} instead of answering"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, order: str) -> Any:
        """Give an order and wait for the answer."""
        self.tell(order)
        return self.answer()

    def left(self) -> list[Any]:
        """Return the last answers of a killed process."""
        said = []
        try:
            while self._pipe.poll():
                said.append(self._pipe.recv())
        except (EOFError, OSError):
            pass
        return said

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does, and wait until it is gone."""
        self.process.kill()
        self.process.join()


@contextmanager
def start_process(obey: Callable[[_Spec, Connection], None], spec: _Spec) -> Iterator[OtherProcess]:
    """Start a process in which a function obeys orders, and end it afterwards."""
    # as independent as a spawned process, but starts ten times as fast
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, obey.__module__])
    ours, theirs = context.Pipe()
    process = context.Process(target=obey, args=(spec, theirs), daemon=True)
    process.start()
    theirs.close()
    other = OtherProcess(process, ours)
    try:
        yield other
    finally:
        other.kill()
        ours.close()


def other_process(spec: StoreSpec) -> Any:
    """Start a process that obeys the orders of `_Hand` with the store."""
    return start_process(obey_store, spec)


def obey_store(spec: StoreSpec, pipe: Connection) -> None:
    """Obey orders with a store until the pipe is closed."""
    obey(_Hand(spec, pipe), pipe)


def obey(hand: object, pipe: Connection) -> None:
    """Call the method and arguments of each order, and send back its result or exception."""
    while True:
        try:
            name, *words = pipe.recv().split()
        except EOFError:
            return
        try:
            answer = getattr(hand, name)(*words)
        except Exception as error:
            answer = error
        pipe.send(answer)


class _Hand:
    """The orders."""

    def __init__(self, spec: StoreSpec, pipe: Connection) -> None:
        self._spec = spec
        self._pipe = pipe
        self._store = spec.make()
        self._release: Release | None = None

    def ready(self) -> None:
        """Do nothing; the answer shows that the process is running."""

    def acquire(self, wait: str = "wait") -> bool:
        self._release = self._store.acquire(SESSION, wait=wait == "wait")
        return self._release is not None

    def release(self) -> None:
        assert self._release is not None
        self._release()

    def mark(self) -> None:
        assert self._store.acquire(SESSION) is not None
        mark(self._store)

    def count(self, holds: str) -> None:
        count(self._store, int(holds))

    def write(self) -> int:
        """Write the next record; return its generation."""
        return write_next(self._store)

    def read(self) -> SessionRecord | None:
        return self._store.read(SESSION)

    def scribble(self) -> None:
        """Write as fast as possible until killed, and send each generation after it was written."""
        while True:
            self._pipe.send(write_next(self._store))

    def open_for_all(self) -> None:
        """Reopen the store with an umask that keeps nothing private."""
        os.umask(0)
        self._store = self._spec.make()

    def open_without_locks(self) -> None:
        """Reopen the store on a system where `flock` always succeeds, as on some network file systems."""
        import fcntl

        fcntl.flock = lambda fd, operation: None  # the fault under test
        self._store = self._spec.make()

    def fill_the_disk(self) -> None:
        """Prevent files from growing."""
        _let_files_grow(0)

    def make_room(self) -> None:
        _let_files_grow(None)

    def fork(self) -> bool:
        """Write in a fork of this process; return whether the store allowed it."""
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                write_next(self._store)
                code = 0
            except StoreError:
                code = 1
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, 1), "a store must work in a fork, or refuse with a StoreError"
        return code == 0


def _let_files_grow(most: int | None) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if most is None else most, hard))


def next_record(generation: int) -> SessionRecord:
    """Return a record whose parts all show its generation, to detect mixtures."""
    cookies = tuple(Cookie(f"c{n}", str(generation), "library.example") for n in range(30))
    return SessionRecord(SESSION, generation, cookies, logins=generation)


def write_next(store: CookieStore) -> int:
    """Write the next record; return its generation."""
    found = store.read(SESSION)
    generation = found.generation if found is not None else 0
    assert found is None or found == next_record(generation), "a record must be whole"
    store.write(next_record(generation + 1), generation)
    return generation + 1


def mark(store: CookieStore) -> SessionRecord:
    """Mark the session as in flight in this process, as a lease does before it sends; return the record."""
    found = store.read(SESSION) or SessionRecord(SESSION)
    holder = Holder("here", os.getpid(), 0, threading.current_thread().name, time.time(), "")
    marked = replace(found, generation=found.generation + 1, status=Status.IN_FLIGHT, holder=holder)
    store.write(marked, found.generation)
    return marked


def count(store: CookieStore, holds: int) -> None:
    """Increment the number in the session's cookie in each of `holds` holds, in two writes, as a lease does."""
    for _ in range(holds):
        release = store.acquire(SESSION)
        assert release is not None, "acquire must wait, and never give up, if wait is true"
        marked = mark(store)
        number = int(marked.cookies[0].value) if marked.cookies else 0
        cookies = (Cookie("count", str(number + 1), "library.example"),)
        settled = replace(marked, generation=marked.generation + 1, cookies=cookies, status=Status.IDLE, holder=None)
        store.write(settled, marked.generation)
        release()
