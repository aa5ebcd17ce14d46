"""The connection to a Redis server: made when it is needed, made again when it is lost, and never taken across a fork."""

from __future__ import annotations

import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from argosy.errors import StoreDamaged, StoreError
from argosy.toolkit.failures import reason_of

#: The oldest version of the server that has all that is used here.
OLDEST = (6, 0)
#: Seconds that an answer may take, and that one waits on a list at most before one asks again.
_ANSWER, _LONGEST = 6.0, 4.0
#: Seconds between two tries to reach a server that does not answer: at first, and at most.
_FIRST, _MOST = 0.05, 1.0
#: Seconds after which the person is told that a server does not answer.
_TELL = 1.0
#: Answers of a server that is about to be a good one again, or whose place another one is about to take.
_PASSING = ("MASTERDOWN", "LOADING", "TRYAGAIN", "BUSY ")

_T = TypeVar("_T")


class RedisServer:
    """One server, for all threads of one process.

    Parameters
    ----------
    where
        What it is called in messages: host and port.
    options
        How `redis.Redis` reaches it.
    patience
        Seconds to wait for a server that does not answer.
    notice
        Tells the person something.
    """

    def __init__(
        self,
        where: str,
        options: Mapping[str, Any],
        *,
        patience: float,
        notice: Callable[[str], None],
    ) -> None:
        self.where = where
        #: Whether each change is on the server's disk when it answers, as far as the server itself knows.
        self.syncs_writes = False
        self._patience = patience
        self._notice = notice
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._met = False
        self._told: set[str] = set()
        # redis-py's own retries do not tell a step that may be sent twice from one that may not
        self._client = redis.Redis(
            socket_connect_timeout=_ANSWER,
            socket_timeout=_ANSWER,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **options,
        )
        self._scripts: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connections."""
        if os.getpid() == self._pid:
            self._client.close()

    def run(self, script: str, keys: Sequence[str], values: Callable[[], Sequence[str | int]] = tuple) -> Any:
        """Run a script; send it again where its answer was lost, for as long as there is patience.

        Parameters
        ----------
        script
            A script that does nothing more when it is sent again.
        keys
            Its keys.
        values
            Returns its other arguments; called before each try, when the server is known.

        Raises
        ------
        StoreError
            If the server cannot be reached, or does not let us.
        """
        return self._insist(lambda: self._script(script)(keys=keys, args=values()))

    def run_once(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> Any:
        """Run a script without patience: for what mends itself where it is not done.

        Raises
        ------
        StoreError
            If the server cannot be reached, or does not let us.
        """
        self.check_process()
        try:
            return self._script(script)(keys=keys, args=values)
        except (RedisError, OSError) as error:
            raise self._failed(error) from None

    def pop(self, key: str, seconds: float) -> str | None:
        """Wait for what is put on a list; None where nothing is in that time, or the server was lost meanwhile."""
        self.check_process()
        try:
            found: Any = self._client.blpop([key], timeout=min(max(seconds, 0.01), _LONGEST))
        except (RedisError, OSError):
            return None  # whoever waits looks again, with patience
        return found[1].decode("utf-8", "replace") if found else None

    def members(self, key: str) -> list[str]:
        """Return what is in a set, sorted.

        Raises
        ------
        StoreError
            If the server cannot be reached, or does not let us.
        """
        found: Any = self._insist(lambda: self._client.smembers(key))
        return sorted(member.decode("utf-8", "replace") for member in found)

    # -- one try after the other

    def _script(self, text: str) -> Any:
        script = self._scripts.get(text)
        if script is None:
            script = self._scripts[text] = self._client.register_script(text)
        return script

    def _insist(self, step: Callable[[], _T]) -> _T:
        self.check_process()
        pause, begun, told = _FIRST, time.monotonic(), False
        while True:
            try:
                if not self._met:
                    self._meet()
                return step()
            except (RedisError, OSError) as error:
                self._met = False
                if self._is_final(error):
                    raise self._failed(error) from None
                waited = time.monotonic() - begun
                if waited + pause > self._patience:
                    raise self._failed(error) from None
                if waited > _TELL and not told:
                    told = True
                    self._notice(
                        f"The Redis server at {self.where} does not answer ({reason_of(error)}); "
                        f"waiting up to {self._patience:g} s for it."
                    )
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at once
            pause = min(pause * 2, _MOST)

    def _meet(self) -> None:
        """Look whether this server can keep sessions, after each time it was lost: it may be another one."""
        info: dict[str, Any] = self._client.info()
        version = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST:
            self._refuse(
                f"has version {version}, and at least {'.'.join(map(str, OLDEST))} is needed",
                "Use a newer one.",
            )
        if "cluster" in (info.get("redis_mode"), info.get("server_mode")):  # Redis, Valkey
            self._refuse(
                "is a part of a Redis Cluster, where a fail-over is not noticed",
                "Use a server by itself, with or without replicas.",
            )
        if info.get("role") not in (None, "master"):
            raise ReadOnlyError("it is a replica")
        policy = str(info.get("maxmemory_policy", "noeviction"))
        if info.get("maxmemory") and policy.startswith("allkeys"):
            self._tell_once(
                f"The Redis server at {self.where} may throw sessions away when its memory is full "
                f"(maxmemory-policy {policy}), and each that it does costs a login. Set it to noeviction."
            )
        self.syncs_writes = bool(info.get("aof_enabled")) and self._setting("appendfsync") == "always"
        self._met = True

    def _setting(self, name: str) -> str | None:
        """Return a setting of the server; None where we may not ask."""
        try:
            found: Any = self._client.config_get(name)
        except ResponseError:
            return None
        return str(found.get(name))

    def _tell_once(self, message: str) -> None:
        with self._mutex:
            new = message not in self._told
            self._told.add(message)
        if new:
            self._notice(message)

    def check_process(self) -> None:
        """Raise a `StoreError` where this is a fork of the process that opened the store."""
        if os.getpid() != self._pid:
            raise StoreError(
                f"The cookie store on {self.where} was opened by process {self._pid}, and this is a fork of it.",
                hint='Open the store in each process by itself, or start processes with "spawn".',
            )

    # -- what went wrong

    def _is_final(self, error: Exception) -> bool:
        """Return whether waiting does not help."""
        if isinstance(error, (BusyLoadingError, ReadOnlyError)):
            return False
        if isinstance(error, ResponseError):
            return not str(error).startswith(_PASSING)
        if isinstance(error, (AuthenticationError, AuthorizationError)):
            return True
        return any(isinstance(cause, (ssl.SSLError, socket.gaierror)) for cause in _causes(error))

    def _refuse(self, why: str, hint: str) -> NoReturn:
        raise StoreError(f"The Redis server at {self.where} {why}, so it is not used.", hint=hint)

    def _failed(self, error: Exception) -> StoreError:
        text = str(error)
        # what a server answers is not what led to it; an unknown command comes back with what was sent along
        answer = text.partition(", with args")[0][:200].rstrip(".")
        reason = answer if isinstance(error, ResponseError) else reason_of(error)
        if text.startswith("WRONGTYPE"):
            return StoreDamaged(
                f"The Redis server at {self.where} has something else under the store's keys, so it is left as it is.",
                hint='Give the store a "prefix" of its own.',
            )
        if isinstance(error, (AuthenticationError, AuthorizationError)) or text.startswith("NOAUTH"):
            reason = "it does not accept the user or the password"
            hint = 'Correct "user", and "password" where the configuration says that it is kept.'
        elif isinstance(error, NoPermissionError):
            reason = "the user may not do what a store has to do"
            hint = "Allow it: ACL SETUSER NAME on ~{PREFIX}:* +@read +@write +@scripting +@connection +info +config|get"
        elif isinstance(error, ReadOnlyError):
            hint = "Name the primary: a replica takes no changes."
        elif any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
            hint = 'Check "tls", and "ca_bundle": the authority that signed the server\'s certificate.'
        elif isinstance(error, ResponseError):
            hint = "Look after the server (its memory, its disk), then start again."
        else:
            hint = 'Start it, or check "host", "port" and "tls"; then start again.'
        return StoreError(f"The Redis server at {self.where} cannot be used: {reason}.", hint=hint)


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what led to it."""
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes
