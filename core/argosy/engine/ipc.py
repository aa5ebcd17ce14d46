"""Workers in other processes: how they are created there, and how they talk to the run.

A pickled worker becomes a `RemoteWorker` in the other process; no token, connection or lock is pickled. It connects to
the run through the strategy's channel: events, counts and questions come in; answers and the command to stop go out.
If the run dies, the connection breaks and the workers end.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import util
from typing import TYPE_CHECKING, Any

from argosy.engine.context import RunContext
from argosy.engine.observers import ALWAYS
from argosy.engine.sessions.provider import Share
from argosy.errors import ArgosyError
from argosy.events import Emit, EventKind
from argosy.interfaces.channel import Address, Channel, Message
from argosy.leasing.login import RemoteLoginLimiter
from argosy.models.items import Job, Outcome, State
from argosy.toolkit.redaction import Redactor, redacted_streams
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.worker import Worker
    from argosy.plugins.manager import PluginManager

logger = logging.getLogger(__name__)

#: Seconds between two reports of a worker's counts; the last one comes when it ends.
COUNT_PERIOD = 0.2


class RunEnd:
    """The run's end of a channel: takes events and counts, answers questions, and passes the stop on."""

    def __init__(self, channel: Channel, emit: Emit, stop: Stop, answer: Callable[[str, str], str | None]) -> None:
        self.counts: dict[str, Mapping[str, int]] = {}  # of each worker process
        self._channel = channel
        self._emit = emit
        self._stop = stop
        self._answer = answer
        self.address = channel.open(self._take)
        stop.listeners.add(self._tell_stop)
        self._tell_stop()  # the run may have been stopped before

    def close(self) -> None:
        """Take the last messages, and close the channel."""
        self._stop.listeners.discard(self._tell_stop)
        self._channel.close()

    def _take(self, message: Message) -> Message | None:
        if "ask" in message:
            return {"answer": self._answer(*message["ask"])}
        if "event" in message:
            kind, item, data = message["event"]
            self._emit(EventKind(kind), item, data)
        else:
            self.counts[message["worker"]] = message["counts"]
        return None

    def _tell_stop(self) -> None:
        if self._stop.draining:
            self._channel.tell({"stop": "abort" if self._stop.aborted else "drain"})


class WorkerEnd:
    """A worker's end, which stops with the run; `redactor` knows this process's secrets."""

    def __init__(
        self, address: Address, stop: Stop, redactor: Redactor, over: Callable[[], None] | None = None
    ) -> None:
        self.is_heard = True
        self._redactor = redactor
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"

        def told(message: Message) -> None:
            (stop.abort if message["stop"] == "abort" else stop.drain)()

        self._connection = address.connect(told, over or stop.abort)
        self.close, self.folder = self._connection.close, self._connection.folder

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Send an event, without secrets, unless nobody listens."""
        if self.is_heard or kind in ALWAYS:
            self._connection.send({"event": self._redactor.scrub([kind, item, data or {}])})

    def count(self, counts: Mapping[str, int]) -> None:
        """Replace the counts of this process."""
        self._connection.send({"worker": self._name, "counts": dict(counts)})

    def ask(self, name: str, text: str) -> str | None:
        """Ask the run, and wait for the answer; raise Interrupted if the run is over."""
        answer: str | None = self._connection.ask({"ask": [name, text]})["answer"]
        return answer


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What another process needs to create a worker; it resolves the references to secrets in the settings itself."""

    settings: Settings
    plugins: PluginManager
    address: Address
    share: Share
    is_heard: bool  # whether anybody listens to the events
    at_start: Callable[[Redactor], None] | None  # called as the process starts, such as to log there, too
    run_pid: int = field(default_factory=os.getpid)


class RemoteWorker:
    """Does jobs in another process than the run's; any number of threads may call it."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._mutex = threading.RLock()
        self._worker: Worker | None = None
        self._active = 0  # jobs
        self._is_over = False
        self._counted = 0.0  # when the counts were last sent

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], RemoteWorker], tuple[WorkerSpec]]:
        return work_here, (self._spec,)  # a strategy may send it on

    def __call__(self, job: Job) -> Outcome:
        """Do a job; errors are in the outcome."""
        try:
            with self._mutex:
                worker = self._worker = self._worker or self._create()
                self._active += 1
        except ArgosyError as error:
            return Outcome(job.item.id, State.REQUEUED, fatal=error)
        try:
            return worker(job)
        finally:
            for path in self._context.staging.files(job.item.id) if self._client.folder is not None else ():
                path.unlink(missing_ok=True)
            if time.monotonic() - self._counted > COUNT_PERIOD:
                self._counted = time.monotonic()
                self._client.count(self._context.pool.counts())
            with self._mutex:
                self._active -= 1
                self._close_if_over()

    def _create(self) -> Worker:
        from argosy.engine.worker import Worker

        spec, redactor = self._spec, Redactor()
        stop = self._stop = Stop()
        client = self._client = WorkerEnd(spec.address, stop, redactor, self._end)
        client.is_heard = spec.is_heard
        self._streams = redacted_streams(redactor)
        if spec.at_start is not None:
            spec.at_start(redactor)
        logger.debug("a worker starts in this process")
        self._streams.__enter__()  # until this worker closes: plugins may print

        settings, share, folder, limit = spec.settings, spec.share, client.folder, RemoteLoginLimiter(client.ask)
        if folder is not None and settings.remote is not None:  # the local folder of the target is on the run's machine
            settings = replace(settings, directory=folder)
        more: dict[str, Any] = {"folder": folder, "ask": lambda prompt: client.ask("secret", prompt) or ""}
        context = self._context = RunContext(settings, spec.plugins, client.emit, stop, redactor, share, limit, **more)
        context.staging.prepare()
        # at the end of a multiprocessing worker, or at the exit of any other process
        self._finalize = util.Finalize(None, self._close, exitpriority=10)
        return Worker(context, client.emit, lambda: spec)

    def _end(self) -> None:
        """End with the run, after the current jobs: a response still brings the next token."""
        self._stop.abort()
        with self._mutex:
            self._is_over = True
            self._close_if_over()

    def _close_if_over(self) -> None:
        if self._is_over and not self._active and self._worker is not None:
            self._finalize()

    def _close(self) -> None:
        _workers.pop(self._spec.address, None)
        self._context.close()
        self._client.count(self._context.pool.counts())
        self._client.close()
        self._streams.__exit__(None, None, None)


_workers: dict[Address, RemoteWorker] = {}
_mutex = threading.Lock()


def work_here(spec: WorkerSpec) -> RemoteWorker:
    """Return this process's only worker of a run; a strategy may send the work with each job."""
    if os.getpid() != spec.run_pid and threading.current_thread() is threading.main_thread():
        # A terminal sends these to all processes, and they would end a worker between the headers of a response and the
        # commit of its token. The run tells its workers when to stop.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    with _mutex:
        return _workers.setdefault(spec.address, RemoteWorker(spec))
