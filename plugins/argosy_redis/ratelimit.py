"""The rate limit of a cluster: programs on any number of machines share the states of hosts on a Redis server.

Machines have different clocks, so the server has the states in seconds of its own clock. Each process adds the difference
to its clock, and measures it again with each response.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from argosy.errors import ConfigError, StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.ratelimit import RateLimit
from argosy.models.host_state import NEVER, HostState
from argosy.toolkit.processes import clock
from argosy_redis import scripts
from argosy_redis.options import SCHEMA, Options

if TYPE_CHECKING:
    from argosy_redis.server import RedisServer

T = TypeVar("T")

#: The fields of a state that are times.
_TIMES = frozenset(name for name, value in asdict(HostState()).items() if value == NEVER)

#: The difference of the clocks is a multiple of this, so that it can be added and subtracted without an error.
_STEP = 2**20

#: A difference that is smaller than this, in seconds, is the way of the response.
_NOTICED = 0.25

#: Seconds without a request until the server forgets a host.
_KEPT = 86_400


class RedisRateLimit(RateLimit):
    """Limits the requests of all programs that use the same server and prefix."""

    name = "redis"
    summary = (
        "Limits the requests of programs on any number of machines together, on a Redis server (needs argosy[redis])"
    )
    options_schema = {
        **SCHEMA,
        "properties": {name: value for name, value in SCHEMA["properties"].items() if name != "ttl"},
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        chosen = Options.of(options, context)
        try:
            from argosy_redis.server import RedisServer
        except ImportError:
            raise ConfigError(
                "The rate limit 'redis' needs the library redis-py, which is not installed.",
                hint="Install it: pip install 'argosy[redis]'.",
            ) from None
        self._server: RedisServer = RedisServer(
            chosen.where, chosen.client, patience=chosen.patience, notice=context.notice
        )
        self._prefix = f"{{{chosen.prefix}}}:host:"
        self._mutex = threading.Lock()
        self._ahead = Fraction(0)  # seconds that the server's clock is ahead of this machine's

    def read(self, host: str) -> HostState | None:
        """Return the state of a host, or None."""
        text = self._fetch(host)
        return self._state(text) if text else None

    def started(self, host: str, now: float) -> None:
        """Record that a request starts."""
        if self.read(host) is not None:
            self.update(host, lambda state, _: setattr(state, "seen", now))

    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host; read it again if another program was faster."""
        with self._mutex:  # threads of one process need not compete on the server
            while True:
                text = self._fetch(host)
                state = self._state(text) if text else HostState()
                result = change(state, clock())
                new = self._text(state)
                if new == text or self._run(scripts.SWAP, host, (text, new, _KEPT)):
                    return result

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _fetch(self, host: str) -> str:
        sent = clock()
        seconds, micros, text = self._run(scripts.FETCH, host, ())
        ahead = Fraction(int(seconds)) + Fraction(int(micros), 1_000_000) - Fraction((sent + clock()) / 2)
        if abs(ahead - self._ahead) > _NOTICED:
            self._ahead = Fraction(round(ahead * _STEP), _STEP)
        return text.decode("ascii", "replace") if text else ""

    def _run(self, script: str, host: str, values: tuple[str | int, ...]) -> Any:
        try:
            return self._server.run(script, (f"{self._prefix}{host}",), lambda: values)
        except StoreError as error:  # the run goes on without it, and says so
            raise OSError(error.message) from None

    def _state(self, text: str) -> HostState:
        try:
            found = json.loads(text)
            times = {name: float(Fraction(found[name]) - self._ahead) for name in _TIMES & found.keys()}
            return HostState(**{**found, **times})
        except (TypeError, ValueError, ZeroDivisionError):  # someone else's: politeness is lost, and no more
            return HostState()

    def _text(self, state: HostState) -> str:
        found = {name: value for name, value in asdict(state).items() if value != NEVER}
        return json.dumps({name: self._shared(value) if name in _TIMES else value for name, value in found.items()})

    def _shared(self, time: float) -> str:
        return str(Fraction(time) + self._ahead)
