"""The channel between a run and its workers on a Dask cluster: messages go through Dask's scheduler.

Workers log messages under a topic of the run, to which its client subscribes. Answers and the command to stop are sent by
running a function on the workers, and a variable keeps the command for workers that start later. So a run needs no port
of its own, and its messages are encrypted if the cluster uses TLS.
"""

from __future__ import annotations

import json
import logging
import queue
import shutil
import signal
import threading
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import distributed

from argosy.errors import Interrupted, RunUnreachable, StorageError
from argosy.interfaces.channel import Address, Channel, Connection, Message

_dask: Any = distributed  # parts of it have no types

logger = logging.getLogger(__name__)

#: Seconds that the scheduler waits for the variable of a run, which is there as long as the run lasts.
PATIENCE = 1.0

#: The last message of a run to its workers.
OVER: Message = {"over": True}

#: Seconds to wait for the last messages of workers.
LAST_MESSAGES = 5.0

#: Seconds that messages of a worker wait for others, as the scheduler has about as much work with one as with many.
TOGETHER = 0.5


class _Client(distributed.Client):
    """A client that leaves nothing behind if it cannot connect: Dask's would wait for its thread when Python ends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        except BaseException:
            self.close()  # type: ignore[no-untyped-call]
            raise


def connect(cluster: Any, timeout: float) -> Any:
    """Connect to a cluster, or to the scheduler at an address; raise OSError or ValueError if that fails."""
    return _Client(cluster, set_as_default=False, timeout=timeout)


class DaskChannel(Channel):
    """The run's end."""

    def __init__(self, client: Any, *, is_local: bool = False) -> None:
        self._client = client
        self._is_local = is_local
        self._topic = f"argosy-{uuid.uuid4().hex}"
        self._told = _dask.Variable(self._topic, client=client)
        #: Messages, and whether they came from a worker. A thread sends, as Dask's own thread must not wait.
        self._todo: queue.SimpleQueue[tuple[bool, Message]] = queue.SimpleQueue()
        self.is_stopping = False  # whether the workers were told to stop
        self._thread = threading.Thread(target=self._serve, name="argosy-dask", daemon=True)

    def open(self, answer: Callable[[Message], Message | None]) -> DaskAddress:
        """Subscribe to the topic of this run."""
        self._answer = answer
        self._told.set({})
        self._client.subscribe_topic(self._topic, self._came)
        self._thread.start()
        return DaskAddress(self._topic, self._is_local)

    def tell(self, message: Message) -> None:
        """Let the thread send a message; a simple queue takes it in a signal handler, too."""
        self.is_stopping = self.is_stopping or "stop" in message
        self._todo.put((False, message))

    def close(self) -> None:
        """Tell the workers that the run is over, take their last messages, and leave the cluster."""
        self._todo.put((False, OVER))
        self._thread.join(LAST_MESSAGES)
        with _UnlessLost():
            self._client.unsubscribe_topic(self._topic)
            self._told.delete()

    def _came(self, event: tuple[float, bytes]) -> None:
        for message in json.loads(zlib.decompress(event[1])):
            self._todo.put((True, message))

    def _serve(self) -> None:
        staying: set[str] | None = None  # the workers that still have to leave, once the run is over
        while staying is None or staying:
            came, message = self._todo.get()
            with _UnlessLost():
                if message == OVER:
                    heard = self._client.run(_tell, self._topic, dict(message), on_error="ignore")
                    staying = {worker for worker, is_there in heard.items() if is_there is True}
                elif "left" in message:
                    staying = staying and staying - {message["left"]}
                elif not came:
                    self._told.set(dict(message))
                    self._client.run(_tell, self._topic, dict(message), on_error="ignore")
                elif "ask" in message:
                    asked, worker = message["ask"], message["worker"]
                    answer = self._answer(asked)
                    self._client.run(_tell, self._topic, {"answer": answer, "to": message["number"]}, workers=[worker])
                else:
                    self._answer(message)


class _UnlessLost:
    """Let a cluster that is lost be noticed by the strategy alone."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, (OSError, RuntimeError, ValueError)):
            logger.debug("a message could not be sent: %s", error)
            return True
        return False


@dataclass(frozen=True, slots=True)
class DaskAddress(Address):
    """The topic of a run, and whether its workers are on the run's machine."""

    topic: str
    is_local: bool = False

    def connect(self, told: Callable[[Message], None], over: Callable[[], None]) -> DaskConnection:
        """Connect the Dask worker of the current task."""
        return DaskConnection(self, told, over)


class DaskConnection(Connection):
    """A worker's end."""

    def __init__(self, address: DaskAddress, told: Callable[[Message], None], over: Callable[[], None]) -> None:
        topic = self._topic = address.topic
        self._told = told
        self._over = over
        self._is_over = False
        self._mutex = threading.Lock()
        self._waiting: list[Message] = []
        self._answers: dict[str, queue.SimpleQueue[Any]] = {}
        try:
            self._worker = distributed.get_worker()
            client = distributed.get_client()
        except ValueError as error:
            raise RunUnreachable(f"This is no Dask worker: {error}.") from None
        _connections[topic] = self
        try:
            early = _dask.Variable(topic, client=client).get(timeout=PATIENCE)
        except (TimeoutError, OSError) as error:
            del _connections[topic]
            raise RunUnreachable(
                f"The Dask worker {self._worker.address} cannot reach its run: {str(error) or 'it is over'}."
            ) from None
        if not address.is_local:
            # Dask removes the folder when the worker ends, or what a killed one left when another starts there
            self.folder = Path(self._worker.local_directory) / topic
            try:
                self.folder.mkdir(mode=0o700)
            except OSError as error:
                del _connections[topic]
                message = f"The Dask worker {self._worker.address} cannot make a folder in {self.folder.parent}"
                raise StorageError(f"{message}: {error.strerror}.", hint="Give it another --local-directory.") from None
        if early:
            told(early)

    def send(self, message: Message) -> None:
        """Send a message, together with others of the next moment."""
        with self._mutex:
            self._waiting.append(message)
            if len(self._waiting) == 1:
                self._worker.loop.add_callback(self._worker.loop.call_later, TOGETHER, self.flush)

    def flush(self) -> None:
        """Send what waits."""
        with self._mutex:
            waiting, self._waiting = self._waiting, []
            if waiting:
                packed = zlib.compress(json.dumps(waiting).encode())
                # always in Dask's own thread, which keeps the order
                self._worker.loop.add_callback(self._worker.log_event, self._topic, packed)

    def ask(self, message: Message) -> Message:
        """Send a message and wait for the answer."""
        number = uuid.uuid4().hex
        answers = self._answers[number] = queue.SimpleQueue()
        if not self._is_over:
            self.send({"ask": dict(message), "worker": self._worker.address, "number": number})
            self.flush()
            answer = answers.get()
            del self._answers[number]
            if answer is not None:
                return dict(answer)
        raise Interrupted("The run is over.")

    def close(self) -> None:
        """Send what waits, and forget the run and its unfinished files."""
        self.flush()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        _connections.pop(self._topic, None)

    def hear(self, message: Message) -> None:
        """Take a message of the run, in Dask's own thread."""
        if message == OVER:
            threading.Thread(target=self._end, name="argosy-over", daemon=True).start()
        elif "to" not in message:
            self._told(message)
        elif message["to"] in self._answers:
            self._answers[message["to"]].put(message["answer"])

    def _end(self) -> None:
        self._is_over = True
        for answers in list(self._answers.values()):
            answers.put(None)
        self._over()
        self.send({"left": self._worker.address})
        self.flush()


_connections: dict[str, DaskConnection] = {}


def flush() -> None:
    """Send the messages of this worker that wait: they are to be there before the outcome of their item."""
    for connection in list(_connections.values()):
        connection.flush()


def _tell(topic: str, message: Message) -> bool:
    """Give a message to this worker's connection to a run; return whether it has one."""
    connection = _connections.get(topic)
    if connection is not None:
        connection.hear(message)
    return connection is not None


class IgnoreInterrupts(distributed.WorkerPlugin):
    """Makes the workers of a local cluster ignore the terminal's Ctrl-C: the run tells them when to stop."""

    name = "argosy-ignore-interrupts"

    def setup(self, worker: distributed.Worker) -> None:
        """Ignore it, in the main thread of a worker process."""
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
