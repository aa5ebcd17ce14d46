"""Work that ends the process it is done in; a module of its own, as worker processes import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import NoReturn

from argosy.models.items import Job, Outcome, State


@dataclass(frozen=True)
class Deadly:
    """Kills its process at jobs whose title says so, and raises at others."""

    def __call__(self, job: Job) -> Outcome:
        if job.item.title == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.item.title == "raises":
            raise LookupError("nothing there")
        return Outcome(job.item.id, State.DONE, bytes=os.getpid())


class NotToBeHad(Deadly):
    """Cannot be made anew in another process."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return _exit, (3,)


def _exit(code: int) -> NoReturn:
    os._exit(code)
