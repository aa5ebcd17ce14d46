"""When a resource is tried again: how often, and after which pause."""

from __future__ import annotations

import random
from collections.abc import Callable

from argosy.errors import TransferError
from argosy.reasons import UNREACHED

#: Times a server may ask for patience (429, 503) for one resource, beside `max_retries`.
MOST_THROTTLES = 20

#: Times a host that was there may be out of reach for one resource; before that the outage is over, or the run.
MOST_UNREACHED = 100

#: The longest pause between two attempts, in seconds.
LONGEST_BACKOFF = 60.0


class Retries:
    """The further attempts of one resource.

    Parameters
    ----------
    most
        How many there are.
    delay
        Seconds; the pause before attempt n is random between 0 and ``delay * 2**n`` (full jitter).
    was_there
        Says of a host whether it was there before in this run, and an outage of it is waited for. Then a
        request that did not reach it is no attempt: it is the host's fault alone.
    """

    def __init__(self, most: int, delay: float, was_there: Callable[[str], bool]) -> None:
        self.count = 0
        self._most = most
        self._delay = delay
        self._was_there = was_there
        self._used = self._throttles = self._unreached = 0

    def renew(self) -> None:
        """Begin anew with the attempts: the last one got on."""
        self._used = self._unreached = 0

    def after(self, error: TransferError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises
        ------
        TransferError
            The error itself, if there is no further attempt.
        """
        self.count += 1
        patience = error.retry_after is not None or getattr(error, "status", None) == 429
        if patience and self._throttles < MOST_THROTTLES:
            self._throttles += 1
            return self._backoff(self._throttles) if error.retry_after is None else error.retry_after
        if (
            error.kind in UNREACHED
            and self._unreached < MOST_UNREACHED
            and self._was_there(getattr(error, "host", ""))
        ):
            self._unreached += 1
            return self._backoff(self._unreached)
        if error.retryable and self._used < self._most:
            self._used += 1
            return self._backoff(self._used)
        raise error

    def _backoff(self, number: int) -> float:
        longest = min(self._delay * 2 ** (number - 1), LONGEST_BACKOFF)
        return random.uniform(0, longest)  # noqa: S311 - no secret
