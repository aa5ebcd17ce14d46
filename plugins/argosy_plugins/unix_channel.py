"""The channel between a run and its workers on the same host: a Unix socket, on which each line is a JSON value.

Strategies of other packages may use it, too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.errors import Interrupted, RunUnreachable, StorageError
from argosy.interfaces.channel import Address, Channel, Connection, Message

logger = logging.getLogger(__name__)

#: The folder of a run's socket in the temporary directory begins with this; the socket in it has this name.
PREFIX, SOCKET = "argosy-", "socket"

#: The last message of a run to its workers.
OVER: Message = {"over": True}

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


def _send(sock: socket.socket, message: Any) -> None:
    with contextlib.suppress(OSError):  # the other side is gone; the listening thread handles that
        sock.sendall(json.dumps(message).encode() + b"\n")


class UnixChannel(Channel):
    """The run's end: a socket in a folder that only this user can enter."""

    def __init__(self) -> None:
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._told: Message | None = None
        self._closing = False

    def open(self, answer: Callable[[Message], Message | None]) -> UnixAddress:
        """Listen on a new socket."""
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_dead(left)
        self._answer = answer
        folder = self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
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
        return UnixAddress(str(folder / SOCKET))

    def tell(self, message: Message) -> None:
        """Send a message to the workers; it takes no lock."""
        self._told = message
        for client in tuple(self._clients):
            _send(client, message)

    def close(self) -> None:
        """Tell the workers that the run is over, receive their last messages, and close the connections."""
        self._closing = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self._folder / SOCKET))  # wakes accept(), which closing does not do on every system
        self.tell(OVER)
        end = time.monotonic() + LAST_MESSAGES
        for thread in self._threads:  # the first thread may still add some
            thread.join(max(0.0, end - time.monotonic()))
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        shutil.rmtree(self._folder, ignore_errors=True)

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
                if self._told is not None:  # before this worker connected
                    _send(client, self._told)

    def _listen(self, client: socket.socket) -> None:
        # a worker may be killed in the middle of a message; the strategy notices
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as messages:
            for line in messages:
                answer = self._answer(json.loads(line))
                if answer is not None:
                    _send(client, [answer])
        self._clients.remove(client)


@dataclass(frozen=True, slots=True)
class UnixAddress(Address):
    """The path of a run's socket."""

    path: str

    def connect(self, told: Callable[[Message], None], over: Callable[[], None]) -> UnixConnection:
        """Connect a worker of the same host."""
        return UnixConnection(Path(self.path), told, over)


class UnixConnection(Connection):
    """A worker's end. If the run was killed, its workers remove its folder."""

    def __init__(self, path: Path, told: Callable[[Message], None], over: Callable[[], None]) -> None:
        self._folder = path.parent
        self._told = told
        self._over = over
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise RunUnreachable(
                f"A worker on {socket.gethostname()} cannot reach its run at {path}: {error.strerror}.",
                hint="The run is over, or on another machine.",
            ) from None
        self._closed = False
        self._mutex = threading.Lock()
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="argosy-client", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message."""
        with self._mutex:
            _send(self._sock, message)

    def ask(self, message: Message) -> Message:
        """Send a message and wait for the answer."""
        with self._asking:
            self.send(message)
            answer = self._answers.get()
        if answer is None:
            self._answers.put(None)  # for other threads that wait
            raise Interrupted("The run is over.")
        return answer

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
                if isinstance(message, list):  # the answer to a question
                    self._answers.put(message[0])
                elif message == OVER:
                    self._answers.put(None)
                    self._over()
                else:
                    self._told(message)
        if not self._closed:  # the run is over, and may have been killed
            shutil.rmtree(self._folder, ignore_errors=True)
        self._answers.put(None)  # first: who waits for an answer may hold a lock that the end needs
        self._over()  # may end this process
