"""Holds on the sessions of a Redis store: taken, kept alive, and handed on."""

from __future__ import annotations

import contextlib
import secrets
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from argosy.errors import StoreError
from argosy.interfaces.cookie_store import Release
from argosy.toolkit.locks import FairLock, once
from argosy_redis.scripts import ACQUIRE, RELEASE, RENEW
from argosy_redis.server import RedisServer

#: Milliseconds to take a session that was handed over; after that, any process may.
_HANDING_ON = 1000
#: Seconds after the end of a hold until a waiter checks whether its holder has died.
_MORE = 0.02
#: How often a hold is renewed within its time.
_RENEWALS = 3


@dataclass(frozen=True)
class Keys:
    """The keys of one session; the part in braces puts all keys of a store into one slot."""

    prefix: str
    name: str

    @property
    def session(self) -> str:
        """The session's hash."""
        return f"{{{self.prefix}}}:session:{self.name}"

    @property
    def hold(self) -> str:
        """The key of its hold."""
        return f"{{{self.prefix}}}:hold:{self.name}"

    @property
    def queue(self) -> str:
        """The list that waiters block on."""
        return f"{{{self.prefix}}}:free:{self.name}"


class RedisHolds:
    """The holds of one process.

    A hold is a key that expires, so a dead process loses it. It is renewed while the process runs; one that was stopped
    for longer than `ttl` seconds loses it, and `RedisStore.write` is then refused. Threads queue within their process.
    Processes block on a list until the session is handed to them, at most until the hold expires.
    """

    def __init__(self, server: RedisServer, prefix: str, ttl: float) -> None:
        self._server = server
        self._prefix = prefix
        self._seconds = ttl
        self.ttl = max(int(ttl * 1000), 1)
        self._mutex = threading.Lock()
        self._locks: defaultdict[str, FairLock] = defaultdict(FairLock)
        self._tokens: dict[str, str] = {}
        self._heartbeat: _Heartbeat | None = None

    def keys(self, session: str) -> Keys:
        """Return the keys of a session."""
        return Keys(self._prefix, session)

    def token(self, session: str) -> str:
        """Return the token of our hold on a session, even of one that has lapsed; or an empty text."""
        return self._tokens.get(session, "")

    def acquire(self, session: str, *, wait: bool) -> Release | None:
        """Take a session; return what ends the hold, or None if it is taken and `wait` is false."""
        self._server.check_process()  # a lock that was held at the fork would never be free
        with self._mutex:
            lock = self._locks[session]
        if not lock.acquire(wait=wait):
            return None
        token = secrets.token_hex(12)
        try:
            taken = self._take(session, token, wait=wait)
        except BaseException:
            # after a signal or a lost response, it may have been granted
            with contextlib.suppress(StoreError):
                self._hand_on(session, token)
            lock.release()
            raise
        if not taken:
            lock.release()
            return None
        self._tokens[session] = token
        self._keep_alive()
        return once(partial(self._release, session, token, lock))

    def close(self) -> None:
        """Stop renewing holds."""
        with self._mutex:
            heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop()

    def _take(self, session: str, token: str, *, wait: bool) -> bool:
        keys, baton = self.keys(session), ""
        while True:
            values = (token, self.ttl, baton)
            left: int = self._server.run(ACQUIRE, (keys.session, keys.hold, keys.queue), lambda: values)  # noqa: B023 - called here
            if left < 0 or not wait:
                return left < 0
            baton = self._server.pop(keys.queue, left / 1000 + _MORE) or ""

    def _release(self, session: str, token: str, lock: FairLock) -> None:
        self._tokens.pop(session, None)
        try:
            with contextlib.suppress(StoreError):  # it lapses instead
                self._hand_on(session, token)
        finally:
            lock.release()

    def _hand_on(self, session: str, token: str) -> None:
        keys = self.keys(session)
        values = (token, secrets.token_hex(8), _HANDING_ON)
        names = (keys.session, keys.hold, keys.queue)
        try:
            self._server.run_once(RELEASE, names, values)
        except StoreError:
            self._server.run_once(RELEASE, names, values)  # the idle connection was lost

    def _keep_alive(self) -> None:
        heartbeat = self._heartbeat
        if heartbeat is None:
            with self._mutex:
                heartbeat = self._heartbeat
                if heartbeat is None:
                    heartbeat = _Heartbeat(weakref.WeakMethod(self._renew), self._seconds / _RENEWALS)
                    weakref.finalize(self, heartbeat.stop)
                    self._heartbeat = heartbeat
        heartbeat.go_on()

    def _renew(self) -> bool:
        """Renew all holds; return whether there are any."""
        held = list(self._tokens.items())
        for session, token in held:
            keys = self.keys(session)
            with contextlib.suppress(StoreError):  # next time, or by the next write
                self._server.run_once(RENEW, (keys.session, keys.hold), (token, self.ttl))
        return bool(held)


class _Heartbeat:
    """Calls a method every few seconds in a thread, and sleeps while it returns that there was nothing to do."""

    def __init__(self, beat: weakref.WeakMethod[Callable[[], bool]], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._needed = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="argosy-redis-heartbeat", daemon=True).start()

    def go_on(self) -> None:
        """Continue: there is something to do."""
        if not self._needed.is_set():
            self._needed.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._needed.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._needed.clear()
            beat = self._beat()
            if beat is None:
                return
            try:
                busy = beat()
            except Exception:
                if self._stopped.is_set():  # its connections were closed
                    return
                raise
            del beat  # or this reference would keep the store alive
            if not busy:
                self._needed.wait()
