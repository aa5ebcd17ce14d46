"""What the contract of cookie stores runs in other processes; a module of its own, as ``spawn`` imports it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from argosy.contracts.base import PluginContext
from argosy.contracts.cookie_store import CookieStore
from argosy.session.keeper import SessionKeeper
from argosy.session.lease import ExclusiveLease
from argosy.session.record import SessionRecord

#: The session that everything here is about, and a URL its cookies belong to.
SESSION = "default"
URL = "https://library.example/books/1"

#: Seconds after which another process that does not answer is taken for stuck.
PATIENCE = 60.0


@dataclass(frozen=True)
class StoreRecipe:
    """What another process needs to open the same store.

    Parameters
    ----------
    plugin, options
        The store and its options.
    base
        The folder its relative paths are relative to.
    """

    plugin: type[CookieStore]
    options: Mapping[str, Any]
    base: Path

    def make(self) -> CookieStore:
        """Open the store."""
        return self.plugin(self.options, PluginContext(base=self.base, directory=self.base))


class OtherProcess:
    """Another process that does one thing after the other with the store, as it is told.

    Parameters
    ----------
    process
        The process.
    pipe
        Carries orders there, and answers back.
    """

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self._pipe = pipe

    def tell(self, order: str) -> None:
        """Give an order without waiting for it."""
        self._pipe.send(order)

    def answer(self) -> Any:
        """Wait for the answer to the oldest order."""
        assert self._pipe.poll(PATIENCE), f"another process did not answer within {PATIENCE:.0f} s"
        return self._pipe.recv()

    def ask(self, order: str) -> Any:
        """Give an order and wait for the answer."""
        self.tell(order)
        return self.answer()

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does; return when it is gone."""
        self.process.kill()
        self.process.join()


@contextmanager
def other_process(recipe: StoreRecipe) -> Iterator[OtherProcess]:
    """Start a process that obeys orders; it is gone at the end."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=obey, args=(recipe, theirs), daemon=True)
    process.start()
    theirs.close()
    other = OtherProcess(process, ours)
    try:
        yield other
    finally:
        other.kill()
        ours.close()


def obey(recipe: StoreRecipe, pipe: Connection) -> None:
    """Do what the orders say until the pipe is closed."""
    store = recipe.make()
    release = None
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        answer: Any = True
        if order == "acquire":
            release = store.acquire(SESSION)
        elif order == "try":
            release = store.acquire(SESSION, wait=False)
            answer = release is not None
        elif order == "release":
            assert release is not None
            release()
        elif order == "mark":
            release = store.acquire(SESSION)
            assert release is not None
            ExclusiveLease(store, store.read(SESSION) or SessionRecord(SESSION), release)
        elif order.startswith("count "):
            count(store, int(order.removeprefix("count ")))
        pipe.send(answer)


def count(store: CookieStore, leases: int) -> None:
    """Raise the number in the session's cookie by one under each of so many leases."""
    keeper = SessionKeeper(store, SESSION)
    for _ in range(leases):
        lease = keeper.lease(URL)
        try:
            number = int((lease.cookie_header(URL) or "count=0").removeprefix("count="))
            lease.settle([f"count={number + 1}; Path=/"], URL, None)
        finally:
            lease.end()
