"""What runs in each process of the `multiprocess` strategy; a module of its own, as the process imports it."""

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

#: Seconds that a process has to end in when nobody waits for its work any more.
GRACE = 3.0

#: Signals that a terminal, or who ends a whole group, sends to all processes of a run.
TO_ALL = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: The first message of a process: it could be started, and the work is there.
READY = "ready"


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Let a process that is started meanwhile see none of `TO_ALL` before it serves, and can ignore them.

    Python takes its time to start, and would end with a traceback in the midst of it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it is started with the first process, and unblocks them where it is
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection, work: Work, threads: int) -> None:
    """Do the jobs that come through a pipe until None comes, or the pipe breaks.

    Parameters
    ----------
    pipe
        Brings ``(number, job)``, and takes ``(number, outcome)`` back.
    work
        What does a job.
    threads
        Jobs at once.
    """
    for number in TO_ALL:
        # a signal to the whole group must not end us between headers and commit: the run tells us to stop
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
        except Exception as error:  # against the contract of the work; the run must hear of it
            result = RuntimeError(f"the work raised {type(error).__name__}: {error}")
        send((number, result))

    pool = ThreadPoolExecutor(threads, initializer=name_thread)
    try:
        send(READY)
        while (order := pipe.recv()) is not None:
            future = pool.submit(do, *order)
            running.add(future)
            future.add_done_callback(running.discard)
    except (EOFError, OSError):  # the run is gone, or has given us up
        pool.shutdown(wait=False, cancel_futures=True)
        wait(tuple(running), timeout=GRACE)  # a request that is under way still brings the next token
        os._exit(1)
    pool.shutdown()
