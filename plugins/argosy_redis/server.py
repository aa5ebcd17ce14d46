"""The connection to a Redis server, opened when needed, opened again when lost, and never shared with a fork."""

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

#: The oldest server with all commands that the store uses.
OLDEST = (6, 0)
#: Seconds to wait for a response, and at most for an element of a list before asking again.
_ANSWER, _LONGEST = 6.0, 4.0
#: Seconds between two attempts to reach a server: at first, and at most.
_FIRST, _MOST = 0.05, 1.0
#: Seconds until a notice says that a server does not answer.
_TELL = 1.0
#: Errors of a server that will recover, or that another one will replace.
_PASSING = ("MASTERDOWN", "LOADING", "TRYAGAIN", "BUSY ")

_T = TypeVar("_T")


class RedisServer:
    """One server, for all threads of one process.

    `where` names it in messages, `options` are those of `redis.Redis`, and `patience` is how many seconds to wait for a
    server that does not answer.
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
        #: Whether each change is on the server's disk before it answers, according to the server.
        self.syncs_writes = False
        self._patience = patience
        self._notice = notice
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._met = False
        self._told: set[str] = set()
        # redis-py would also repeat what must not be sent twice
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
        """Run a script that may be sent twice; repeat it if the response was lost, while there is patience.

        `values` returns its other arguments; it is called before each attempt, when the server is known.
        """
        return self._insist(lambda: self._script(script)(keys=keys, args=values()))

    def run_once(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> Any:
        """Run a script once, without patience: what it does also happens by itself later."""
        self.check_process()
        try:
            return self._script(script)(keys=keys, args=values)
        except (RedisError, OSError) as error:
            raise self._failed(error) from None

    def pop(self, key: str, seconds: float) -> str | None:
        """Wait for an element of a list; None if none came in time, or the connection was lost."""
        self.check_process()
        try:
            found: Any = self._client.blpop([key], timeout=min(max(seconds, 0.01), _LONGEST))
        except (RedisError, OSError):
            return None  # the caller asks again, with patience
        return found[1].decode("utf-8", "replace") if found else None

    def members(self, key: str) -> list[str]:
        """Return the members of a set, sorted."""
        found: Any = self._insist(lambda: self._client.smembers(key))
        return sorted(member.decode("utf-8", "replace") for member in found)

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
                        f"argosy waits up to {self._patience:g} s for it."
                    )
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all processes come back at once
            pause = min(pause * 2, _MOST)

    def _meet(self) -> None:
        """Check that this server can keep sessions, after each lost connection: it may be another one."""
        info: dict[str, Any] = self._client.info()
        if info.get("loading"):  # until then, INFO says aof_enabled:0 and an old role
            raise BusyLoadingError("it is loading its data")
        version = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST:
            self._refuse(
                f"has version {version}; argosy needs {'.'.join(map(str, OLDEST))} or newer",
                "Use a newer server.",
            )
        if "cluster" in (info.get("redis_mode"), info.get("server_mode")):  # Redis, Valkey
            self._refuse(
                "is part of a Redis Cluster, whose fail-overs are invisible",
                "Use a single server, with or without replicas.",
            )
        if info.get("role") not in (None, "master"):
            raise ReadOnlyError("it is a replica")
        policy = str(info.get("maxmemory_policy", "noeviction"))
        if info.get("maxmemory") and policy.startswith("allkeys"):
            self._tell_once(
                f"The Redis server at {self.where} may delete sessions when its memory is full "
                f"(maxmemory-policy {policy}), and each one costs a login. Set it to noeviction."
            )
        self.syncs_writes = bool(info.get("aof_enabled")) and self._setting("appendfsync") == "always"
        self._met = True

    def _setting(self, name: str) -> str | None:
        """Return a setting of the server, or None without permission."""
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
        """Raise a `StoreError` in a fork of the process that opened the store."""
        if os.getpid() != self._pid:
            raise StoreError(
                f"The cookie store on {self.where} was opened by process {self._pid}, not by this fork of it.",
                hint='Open the store in each process, or start processes with "spawn".',
            )

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
        # an error about an unknown command repeats its arguments, which may contain secrets
        answer = text.partition(", with args")[0][:200].rstrip(".")
        reason = answer if isinstance(error, ResponseError) else reason_of(error)
        if text.startswith("WRONGTYPE"):
            return StoreDamaged(
                f"The Redis server at {self.where} has other data under the store's keys. It was not changed.",
                hint='Give the store a "prefix" of its own.',
            )
        if isinstance(error, (AuthenticationError, AuthorizationError)) or text.startswith("NOAUTH"):
            reason = "it rejects the user or the password"
            hint = 'Correct "user" and the secret of "password".'
        elif isinstance(error, NoPermissionError):
            reason = "the user lacks permissions that a store needs"
            hint = "Allow it: ACL SETUSER NAME on ~{PREFIX}:* +@read +@write +@scripting +@connection -@dangerous +info +config|get"
        elif isinstance(error, ReadOnlyError):
            hint = "Name the primary: a replica is read-only."
        elif any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
            hint = 'Check "tls", and whether "ca_bundle" has the authority that signed the server\'s certificate.'
        elif isinstance(error, ResponseError):
            hint = "Check the server (its memory, its disk), then start again."
        else:
            hint = 'Start it, or check "host", "port" and "tls"; then start again.'
        return StoreError(f"The Redis server at {self.where} cannot be used: {reason}.", hint=hint)


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and its causes."""
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes
