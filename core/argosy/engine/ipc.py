"""Workers in other processes: how they are created there, and how they talk to the run.

A pickled worker becomes a `RemoteWorker` in the other process; no token, connection or lock is pickled. It connects to
the run's Unix socket. Each message is one line of JSON: events, counts and questions come in; answers and the command to
stop go out. If the run dies, the connection breaks and the workers end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.engine.context import RunContext
from argosy.engine.observers import ALWAYS
from argosy.engine.sessions.provider import Share
from argosy.errors import ArgosyError, Interrupted, StorageError
from argosy.events import Emit, EventKind
from argosy.leasing.login import RemoteLoginLimiter
from argosy.models.items import Job, Outcome, State
from argosy.toolkit.redaction import Redactor, redacted_streams
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.worker import Worker
    from argosy.plugins.manager import PluginManager

logger = logging.getLogger(__name__)

#: The folder of a run's socket in the temporary directory begins with this; the socket in it has this name.
PREFIX, SOCKET = "argosy-", "socket"

#: Seconds between two reports of a worker's counts; the last one comes when it ends.
COUNT_PERIOD = 0.2

#: Seconds to wait for the last messages of workers.
LAST_MESSAGES = 5.0


def _remove_if_dead(folder: Path) -> None:
    """Remove the folder of a run that was killed together with its workers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(folder / SOCKET))
        except ConnectionRefusedError:
            shutil.rmtree(folder)


def _send(sock: socket.socket, message: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the other side is gone; the listening thread handles that
        sock.sendall(json.dumps(message).encode() + b"\n")


class IpcServer:
    """The run's side, at the socket `address`. `answer(name, text)` answers the workers' questions."""

    def __init__(self, emit: Emit, stop: Stop, answer: Callable[[str, str], str | None]) -> None:
        self.counts: list[dict[str, int]] = []  # of each worker process
        self._emit = emit
        self._stop = stop
        self._answer = answer
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        stop.listeners.add(self._tell_stop)
        self._folder = self._open()
        self.address = str(self._folder / SOCKET)

    def close(self) -> None:
        """Receive the last messages of the workers, and close the connections."""
        self._closing = True
        self._stop.listeners.discard(self._tell_stop)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(self.address)  # wakes accept(), which closing does not do on every system
        for thread in self._threads:  # the first thread may still add some
            thread.join(LAST_MESSAGES)
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self) -> Path:
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_dead(left)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(folder / "new"))
            listener.listen(128)
            (folder / "new").rename(folder / SOCKET)  # from now on, a connection never fails
        except OSError as error:
            listener.close()
            shutil.rmtree(folder, ignore_errors=True)
            message = f"Cannot create a socket for worker processes in {folder.parent}: {error.strerror or error}."
            hint = "Set TMPDIR to a short path on a local disk, or use another strategy."
            raise StorageError(message, hint=hint) from None
        self._start(self._accept, listener)
        return folder

    def _start(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(sock,), name="argosy-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except BlockingIOError:
                    return
                client.setblocking(True)
                if self._closing:  # accept those who wait, and no more
                    listener.setblocking(False)
                self._clients.append(client)
                logger.debug("a worker process has connected")
                self._start(self._listen, client)
                self._tell_stop()  # the run may have been stopped before

    def _listen(self, client: socket.socket) -> None:
        counts: dict[str, int] = {}
        self.counts.append(counts)
        # a worker may be killed in the middle of a message; the strategy notices
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as messages:
            for line in messages:
                message = json.loads(line)
                if "event" in message:
                    kind, item, data = message["event"]
                    self._emit(EventKind(kind), item, data)
                elif "ask" in message:
                    _send(client, {"answer": self._answer(*message["ask"])})
                else:
                    counts.update(message["counts"])
        self._clients.remove(client)

    def _tell_stop(self) -> None:
        """Pass the stop on; called in a signal handler, so it takes no lock."""
        if self._stop.draining:
            for client in tuple(self._clients):
                _send(client, {"stop": "abort" if self._stop.aborted else "drain"})


class IpcClient:
    """A worker's side, which stops with the run (OSError if it is over); `redactor` knows this process's secrets."""

    def __init__(self, address: str, stop: Stop, redactor: Redactor, *, is_heard: bool = True) -> None:
        self._is_heard = is_heard
        self._stop = stop
        self._redactor = redactor
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(address)
        self._folder = Path(address).parent
        self._closed = False
        self._mutex = threading.Lock()
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[tuple[str | None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="argosy-client", daemon=True).start()

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Send an event, without secrets, unless nobody listens."""
        if not self._is_heard and kind not in ALWAYS:
            return
        with self._mutex:
            _send(self._sock, {"event": self._redactor.scrub([kind, item, data or {}])})

    def count(self, counts: Mapping[str, int]) -> None:
        """Replace the counts of this process."""
        with self._mutex:
            _send(self._sock, {"counts": dict(counts)})

    def ask(self, name: str, text: str) -> str | None:
        """Ask the run, and wait for the answer; raise Interrupted if the run is over."""
        with self._asking:
            with self._mutex:
                _send(self._sock, {"ask": [name, text]})
            answer = self._answers.get()
        if answer is None:
            self._answers.put(None)  # for other threads that wait
            raise Interrupted("The run is over.")
        return answer[0]

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._sock.makefile("rb") as messages:
            for line in messages:
                message = json.loads(line)
                if "answer" in message:
                    self._answers.put((message["answer"],))
                elif message["stop"] == "abort":
                    self._stop.abort()
                else:
                    self._stop.drain()
        if not self._closed:  # the run is over, and may have been killed
            shutil.rmtree(self._folder, ignore_errors=True)
        self._stop.abort()  # may end this process
        self._answers.put(None)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What another process needs to create a worker; it resolves the references to secrets in the settings itself."""

    settings: Settings
    plugins: PluginManager
    address: str
    share: Share
    is_heard: bool  # whether anybody listens to the events
    at_start: Callable[[Redactor], None] | None  # called as the process starts, such as to log there, too
    run_pid: int = field(default_factory=os.getpid)


class RemoteWorker:
    """Does jobs in another process than the run's; any number of threads may call it."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._mutex = threading.Lock()
        self._worker: Worker | None = None
        self._counted = 0.0  # when the counts were last sent

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], RemoteWorker], tuple[WorkerSpec]]:
        return work_here, (self._spec,)  # a strategy may send it on

    def __call__(self, job: Job) -> Outcome:
        """Do a job; errors are in the outcome."""
        try:
            with self._mutex:
                worker = self._worker = self._worker or self._create()
        except ArgosyError as error:
            return Outcome(job.item.id, State.REQUEUED, fatal=error)
        outcome = worker(job)
        if time.monotonic() - self._counted > COUNT_PERIOD:
            self._counted = time.monotonic()
            self._client.count(self._context.pool.counts())
        return outcome

    def _create(self) -> Worker:
        from argosy.engine.worker import Worker

        spec, stop, redactor = self._spec, Stop(), Redactor()
        try:
            client = self._client = IpcClient(spec.address, stop, redactor, is_heard=spec.is_heard)
        except OSError:
            raise Interrupted("The run is over.") from None
        self._streams = redacted_streams(redactor)
        if spec.at_start is not None:
            spec.at_start(redactor)
        logger.debug("a worker starts in this process")
        self._streams.__enter__()  # until this worker closes: plugins may print

        def ask(prompt: str) -> str:
            return client.ask("secret", prompt) or ""

        login_limit = RemoteLoginLimiter(client.ask)
        self._context = RunContext(
            spec.settings, spec.plugins, client.emit, stop, redactor, spec.share, login_limit, ask=ask
        )
        # at the end of a multiprocessing worker, or at the exit of any other process
        util.Finalize(None, self._close, exitpriority=10)
        return Worker(self._context, client.emit, lambda: spec)

    def _close(self) -> None:
        self._context.close()
        self._client.count(self._context.pool.counts())
        self._client.close()
        self._streams.__exit__(None, None, None)


_workers: dict[str, RemoteWorker] = {}
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
