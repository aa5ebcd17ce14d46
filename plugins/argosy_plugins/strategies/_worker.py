"""What runs in each process of the `multiprocess` strategy; a separate module, as the process imports it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection

from argosy.interfaces.strategy import Work
from argosy.models.items import Job, Outcome

#: Seconds that a process gets to end in when its run has ended.
GRACE = 3.0

#: Signals that a terminal, or `kill` with a group, sends to all processes of a run.
TO_ALL = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: The first message of a process: it has started and can work.
READY = "ready"


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Block `TO_ALL` in a process that is started meanwhile, until `serve` ignores them.

    Otherwise, a signal during the start of Python ends the process with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it starts with the first process, and would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection, work: Work, threads: int) -> None:
    """Do the jobs from a pipe, in this many threads, until None comes or the pipe breaks.

    The pipe brings ``(number, job)`` and takes ``(number, outcome)``.
    """
    for number in TO_ALL:
        # a signal to the group must not end the process between headers and commit: the run tells it to stop
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_ALL)
    numbers = itertools.count(1)
    mutex = threading.Lock()
    running: set[Future[None]] = set()

    def name_thread() -> None:
        threading.current_thread().name = f"argosy-{next(numbers)}"

    def send(message: object) -> None:
        with mutex:
            pipe.send(message)

    def do(number: int, job: Job) -> None:
        try:
            result: Outcome | RuntimeError = work(job)
        except Exception as error:  # work must not raise, so the run has to know
            result = RuntimeError(f"the work raised {type(error).__name__}: {error}")
        send((number, result))

    pool = ThreadPoolExecutor(threads, initializer=name_thread)
    try:
        send(READY)
        while (order := pipe.recv()) is not None:
            future = pool.submit(do, *order)
            running.add(future)
            future.add_done_callback(running.discard)
    except (EOFError, OSError):  # the run has ended or abandoned this process
        pool.shutdown(wait=False, cancel_futures=True)
        wait(tuple(running), timeout=GRACE)  # the response of a request in progress still brings the next token
        os._exit(1)
    pool.shutdown()
