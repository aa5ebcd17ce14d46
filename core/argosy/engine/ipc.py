"""Workers in other processes: how they are created there, and how they talk to the run.

A strategy pickles the work. In the other process, it becomes a `RemoteWorker`, created from a `WorkerSpec`; no token,
connection or lock is pickled. The worker connects to the run's Unix socket. Each message is one line of JSON: events,
counts and questions come in; answers and the command to stop go out. If the run dies, the connection breaks and the
workers end.
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
import stat
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.engine import logs
from argosy.engine.context import ContextOptions, RunContext
from argosy.engine.logs import LogSettings
from argosy.engine.sessions.provider import Share
from argosy.errors import ArgosyError, Interrupted, StorageError
from argosy.events import Emit, EventKind
from argosy.leasing.login import RemoteLoginLimiter
from argosy.models.items import Job, Outcome, State
from argosy.toolkit.redaction import RedactingStreams, Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.worker import Worker
    from argosy.plugins.manager import PluginManager

logger = logging.getLogger(__name__)

#: Seconds to wait for the last messages of workers.
LAST_WORDS = 5.0

#: The prefix of a run's folder in the temporary directory.
PREFIX = "argosy-"


def remove_if_dead(folder: Path) -> bool:
    """Remove the folder of a killed run; return False if its run still listens."""
    try:
        found = folder.lstat()
    except OSError:
        return True
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return True
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect(str(folder / "line"))
    except ConnectionRefusedError:
        shutil.rmtree(folder, ignore_errors=True)
        return True
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


class IpcServer:
    """The run's side; it does nothing until a worker is pickled.

    Parameters
    ----------
    emit
        Takes the workers' events.
    stop
        The run's stop, which is passed on to them.
    answers
        The questions they may ask, by name.
    """

    def __init__(self, emit: Emit, stop: Stop, answers: Mapping[str, Callable[[str], str | None]]) -> None:
        #: The sum of what the workers counted.
        self.counts: Counter[str] = Counter()
        self._emit = emit
        self._stop = stop
        self._answers = answers
        self._mutex = threading.Lock()
        self._folder: Path | None = None
        self._lines: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def address(self) -> str:
        """The path of the socket, which is created when first needed.

        Raises
        ------
        StorageError
            If that fails.
        """
        with self._mutex:
            return str((self._folder or self._open()) / "line")

    def close(self) -> None:
        """Receive the last messages of the workers, and close the connections."""
        with self._mutex:
            folder, self._folder = self._folder, None
        if folder is None:
            return
        self._unsubscribe()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(folder / "line"))  # wakes accept(), which closing does not on every system
        for thread in self._threads:  # the first thread may still add some
            thread.join(LAST_WORDS)
        for line in list(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        shutil.rmtree(folder, ignore_errors=True)

    def _open(self) -> Path:
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            remove_if_dead(left)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(folder / "new"))
            listener.listen(128)
            (folder / "new").rename(folder / "line")  # whoever finds the socket can connect
        except OSError as error:
            listener.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"Cannot create a socket for worker processes in {folder.parent}: {error.strerror or error}.",
                hint="Set TMPDIR to a short path on a local disk, or use another strategy.",
            ) from None
        self._folder = folder
        self._unsubscribe = self._stop.subscribe(self._pass_on)
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
                    line, _ = listener.accept()
                except BlockingIOError:
                    return
                line.setblocking(True)
                if self._folder is None:  # closing: accept those who wait, and no more
                    listener.setblocking(False)
                self._lines.append(line)
                logger.debug("a worker process has connected")
                self._start(self._listen, line)
                self._tell(line)  # the run may have been stopped before

    def _listen(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as messages:
            try:
                for message in messages:
                    self._take(json.loads(message), line)
            except (OSError, ValueError):
                pass  # killed in the middle of a message; the strategy notices
            finally:
                self._lines.remove(line)

    def _take(self, message: Mapping[str, Any], line: socket.socket) -> None:
        if "event" in message:
            kind, item, data = message["event"]
            self._emit(EventKind(kind), item, data)
        elif "counts" in message:
            with self._mutex:
                self.counts.update(message["counts"])
        else:
            name, text = message["ask"]
            line.sendall(json.dumps({"answer": self._answers[name](text)}).encode() + b"\n")

    def _pass_on(self) -> None:
        """Pass the stop on; called in a signal handler, so it takes no lock."""
        for line in tuple(self._lines):
            self._tell(line)

    def _tell(self, line: socket.socket) -> None:
        if self._stop.draining:
            word = b'{"stop": "abort"}\n' if self._stop.aborted else b'{"stop": "drain"}\n'
            with contextlib.suppress(OSError):
                line.sendall(word)


#: Seconds between two progress events of an item.
PROGRESS_EVERY = 0.1

#: How often, and at what interval in seconds, a worker checks whether its run is dead.
TIDY_TRIES, TIDY_EVERY = 50, 0.01


class IpcClient:
    """A worker's side.

    Parameters
    ----------
    address
        The path of the run's socket.
    stop
        Stopped with the run, or when the run ends.
    redactor
        Removes secrets from events: the run does not know those of this process.

    Raises
    ------
    OSError
        If the run is over.
    """

    def __init__(self, address: str, stop: Stop, redactor: Redactor) -> None:
        self._stop = stop
        self._redactor = redactor
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(address)
        self._folder = Path(address).parent
        self._mutex = threading.Lock()
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[tuple[str | None] | None] = queue.SimpleQueue()
        self._progress: dict[str | None, tuple[float, int]] = {}
        threading.Thread(target=self._listen, name="argosy-client", daemon=True).start()

    def emit(self, kind: EventKind, item: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Send an event; progress events in quick succession are merged."""
        item = None if item is None else self._redactor.scrub(item)
        with self._mutex:
            since, size = self._progress.get(item, (0.0, 0))
            now = time.monotonic()
            if kind is EventKind.RESOURCE_PROGRESS and data is not None:
                size += data["bytes"]
                if now - since < PROGRESS_EVERY:
                    self._progress[item] = since, size
                    return
                self._progress[item] = now, 0
                data = {"bytes": size}
            elif size:
                self._progress[item] = now, 0
                self._send({"event": [EventKind.RESOURCE_PROGRESS, item, {"bytes": size}]})
            if kind is EventKind.ITEM_FINISHED:
                self._progress.pop(item, None)
            self._send({"event": [kind, item, self._redactor.scrub_all(data or {})]})

    def count(self, counts: Mapping[str, int]) -> None:
        """Add to the counts of the run."""
        with self._mutex:
            self._send({"counts": dict(counts)})

    def ask(self, name: str, text: str) -> str | None:
        """Ask the run, and wait for the answer.

        Raises
        ------
        Interrupted
            If the run is over.
        """
        with self._asking:
            with self._mutex:
                self._send({"ask": [name, text]})
            answer = self._answers.get()
        if answer is None:
            self._answers.put(None)  # for other threads that wait
            raise Interrupted("The run is over.")
        return answer[0]

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the run is over; the listening thread handles it
            self._sock.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        try:
            with self._sock.makefile("rb") as messages:
                for line in messages:
                    message = json.loads(line)
                    if "answer" in message:
                        self._answers.put((message["answer"],))
                    elif message["stop"] == "abort":
                        self._stop.abort()
                    else:
                        self._stop.drain()
        except (OSError, ValueError):
            pass
        self._tidy()  # first, as the process ends with its jobs
        self._stop.abort()
        self._answers.put(None)

    def _tidy(self) -> None:
        """Remove the folder of a killed run.

        Linux closes the newest descriptors of a killed process first, so this connection breaks a moment before the
        listening socket closes.
        """
        for _ in range(TIDY_TRIES):
            if remove_if_dead(self._folder):
                return
            time.sleep(TIDY_EVERY)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that another process needs to create a worker.

    Parameters
    ----------
    settings
        The run's settings; each process resolves the references to secrets in them.
    plugins
        The plugins, imported again in the other process.
    address
        The path of the run's socket.
    share
        The sessions that the run uses.
    pid
        The run's own process.
    logs
        What the run logs, and where.
    """

    settings: Settings
    plugins: PluginManager
    address: str
    share: Share
    pid: int = field(default_factory=os.getpid)
    logs: LogSettings = field(default_factory=logs.current)


class RemoteWorker:
    """Does jobs in another process than the run's; any number of threads may call it.

    Parameters
    ----------
    spec
        What to create the worker from, with the first job.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._mutex = threading.Lock()
        self._context: RunContext | None = None
        self._worker: Worker | None = None
        self._told: Counter[str] = Counter()

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], RemoteWorker], tuple[WorkerSpec]]:
        return work_here, (self._spec,)  # a strategy may send it on

    def __call__(self, job: Job) -> Outcome:
        """Do a job; errors are in the outcome."""
        try:
            worker = self._made()
        except ArgosyError as error:
            return Outcome(job.item.id, State.REQUEUED, fatal=error)
        outcome = worker(job)
        self._tell()
        return outcome

    def _made(self) -> Worker:
        from argosy.engine.worker import Worker

        with self._mutex:
            if self._worker is None:
                spec, stop, redactor = self._spec, Stop(), Redactor()
                try:
                    self._client = IpcClient(spec.address, stop, redactor)
                except OSError:
                    raise Interrupted("The run is over.") from None
                self._streams = RedactingStreams(redactor)
                if spec.logs != LogSettings():
                    logs.start(spec.logs, redactor)
                logger.debug("a worker starts in this process")
                self._streams.__enter__()  # until this worker closes: plugins may print
                self._context = RunContext(
                    spec.settings,
                    spec.plugins,
                    self._client.emit,
                    stop,
                    redactor,
                    ContextOptions(
                        self._ask, share=spec.share, login_limit=RemoteLoginLimiter(self._client.ask)
                    ),
                )
                # at the end of a multiprocessing worker, or at the exit of any other process
                util.Finalize(None, self._close, exitpriority=10)
                self._worker = Worker(self._context, self._client.emit)
            return self._worker

    def _ask(self, prompt: str) -> str:
        return self._client.ask("secret", prompt) or ""

    def _tell(self) -> None:
        """Send what was counted since the last call."""
        with self._mutex:
            if self._context is not None:
                counts = Counter(self._context.pool.counts())
                self._client.count(counts - self._told)
                self._told = counts

    def _close(self) -> None:
        if self._context is not None:
            self._context.close()
        self._tell()
        self._client.close()
        self._streams.__exit__(None, None, None)


_made: dict[str, RemoteWorker] = {}
_mutex = threading.Lock()


def leave_ctrl_c_to(run: int) -> None:
    """Ignore Ctrl-C and hangup in a process other than the run's (its id).

    A terminal sends them to all processes. They would end a worker between the headers of a response and the commit of
    its token; the run tells its workers when to stop. Only the main thread may set signal handlers, which is where
    strategies usually unpickle the work.
    """
    if os.getpid() != run and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)


def work_here(spec: WorkerSpec) -> RemoteWorker:
    """Return this process's only worker of a run; a strategy may send the work with each job."""
    leave_ctrl_c_to(spec.pid)
    with _mutex:
        return _made.setdefault(spec.address, RemoteWorker(spec))
