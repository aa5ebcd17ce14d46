"""What a service has counted, and the rule that a replaced token is refused; no library has a part in it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable


class Counts:
    """Counts by name (``logins``, ``failed_logins``, ``accepted``, ``refused``, ``replaced_tokens_sent``)."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self._counter: Counter[str] = Counter()
        self._replaced: set[str] = set()

    def add(self, name: str) -> None:
        with self.mutex:
            self._counter[name] += 1

    def replace(self, token: str, make: Callable[[], object]) -> bool:
        """Let a token be replaced, by whatever its library does for that; return False where it was before."""
        with self.mutex:
            if token in self._replaced:
                self._counter["replaced_tokens_sent"] += 1
                return False
            self._replaced.add(token)
            make()
            return True

    def as_dict(self) -> dict[str, int]:
        with self.mutex:
            return dict(self._counter)
