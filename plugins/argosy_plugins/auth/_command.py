"""Runs a program that prints a secret, with limits on its time and output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

#: The most bytes that a program may print.
MOST_PRINTED = 64 * 1024


class CommandFailed(Exception):
    """The program printed nothing useful; the message continues a sentence that begins with its name."""


class Command:
    """A program and its arguments, run in its own process group so that all its children end with it."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._command = command
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def output(self) -> str:
        """Run it and return its output; raise CommandFailed if it cannot run, fails, takes too long or prints too much."""
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise CommandFailed(f"cannot be run: {error.strerror}") from None
        if self._stopped:  # closed while it was starting
            self._end()
        with self._process as process:
            try:
                printed, said = self._read(process)
            finally:
                self._end()
        if process.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            raise CommandFailed(f"ended with {process.returncode}" + (f": {lines[-1][:200]}" if lines else ""))
        return printed.decode("utf-8", "replace").strip()

    def stop(self) -> None:
        """End it and everything it started, now or as soon as it runs."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """Return the standard output and error of a program that ended."""
        end = time.monotonic() + self._seconds
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
        read = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        with selectors.DefaultSelector() as waiting:
            for pipe in read:
                waiting.register(pipe, selectors.EVENT_READ)
            while waiting.get_map():
                for key, _ in waiting.select(max(end - time.monotonic(), 0)):
                    data = os.read(key.fd, MOST_PRINTED)
                    read[key.fd] += data
                    if not data:
                        waiting.unregister(key.fd)
                    if len(read[key.fd]) > MOST_PRINTED:
                        raise CommandFailed(f"printed more than {MOST_PRINTED} bytes")
                if time.monotonic() >= end:
                    raise CommandFailed(f"did not end within {self._seconds:g} s")
        try:
            process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"did not end within {self._seconds:g} s") from None
        printed, said = read.values()
        return bytes(printed), bytes(said)
