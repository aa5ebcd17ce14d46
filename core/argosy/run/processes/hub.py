"""The run's end of the line to workers in other processes.

A strategy sends the work wherever it likes: it is pickled, and made anew in the other process from a `Recipe`.
There it calls back on a Unix socket: events and figures come in, the word to stop goes out. Every message is
one line of JSON. When the run's process dies, the line breaks, and the workers end by themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from argosy.errors import StorageError
from argosy.events import Emit, EventKind
from argosy.run.stop import Stop

#: Seconds that workers whose jobs are over have to say their last word.
LAST_WORDS = 5.0

#: What the name of a run's folder in the temporary directory begins with.
PREFIX = "argosy-"


def remove_if_dead(folder: Path) -> bool:
    """Remove the folder of a run that was killed; leave any other alone.

    Returns
    -------
    bool
        Whether nothing is left to remove; False while somebody still listens there.
    """
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


class Hub:
    """Listens to the workers of a run in other processes; does nothing until one is to be sent there.

    Parameters
    ----------
    emit
        Takes their events.
    stop
        The run's stop; they hear of it.
    answers
        What they may ask, by name: each takes one text and returns a text or None.
    """

    def __init__(self, emit: Emit, stop: Stop, answers: Mapping[str, Callable[[str], str | None]]) -> None:
        #: What they counted.
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
        """Where workers call; from the first time on, somebody listens there.

        Raises
        ------
        StorageError
            If no socket can be made.
        """
        with self._mutex:
            return str((self._folder or self._open()) / "line")

    def close(self) -> None:
        """Hear the last words of workers that are done, and hang up."""
        with self._mutex:
            folder, self._folder = self._folder, None
        if folder is None:
            return
        self._unsubscribe()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(folder / "line"))  # wakes accept(), which a close would not on every system
        for thread in self._threads:  # the first of them may still add some
            thread.join(LAST_WORDS)
        for line in list(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        shutil.rmtree(folder, ignore_errors=True)

    def _open(self) -> Path:
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            remove_if_dead(left)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700: for this user alone
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(folder / "new"))
            listener.listen(128)
            (folder / "new").rename(folder / "line")  # whoever finds the socket finds somebody who listens
        except OSError as error:
            listener.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"No socket can be made for worker processes in {folder.parent}: {error.strerror or error}.",
                hint="Set TMPDIR to a short path on a local disk, or use another strategy.",
            ) from None
        self._folder = folder
        self._unsubscribe = self._stop.subscribe(self._pass_on)
        self._start(self._accept, listener)
        return folder

    def _start(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(sock,), name="argosy-hub", daemon=True)
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
                if self._folder is None:  # whoever called before has been heard when nobody waits any more
                    listener.setblocking(False)
                self._lines.append(line)
                self._start(self._listen, line)
                self._tell(line)  # it may have been stopped before this worker called

    def _listen(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as messages:
            try:
                for message in messages:
                    self._take(json.loads(message), line)
            except (OSError, ValueError):
                pass  # it was killed in the middle of a message; the strategy finds that out
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
        """Tell every worker how far the run is stopped; called in a signal handler, so it takes no lock."""
        for line in tuple(self._lines):
            self._tell(line)

    def _tell(self, line: socket.socket) -> None:
        if self._stop.draining:
            word = b'{"stop": "abort"}\n' if self._stop.aborted else b'{"stop": "drain"}\n'
            with contextlib.suppress(OSError):
                line.sendall(word)
