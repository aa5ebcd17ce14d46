"""Selects the fault for a request."""

from __future__ import annotations

import random
from collections import Counter

from argosy_devkit.fault import Fault
from argosy_devkit.server.counters import Counters
from argosy_devkit.server.http import Request

#: These only affect requests for a range.
_NEED_RANGE = frozenset({"wrong_range", "ignore_range"})


class Faults:
    """The faults of a server, tried in order, and how often each has matched and occurred."""

    def __init__(self, faults: tuple[Fault, ...], seed: int, counters: Counters) -> None:
        self._faults = faults
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
        self._matched: Counter[tuple[int, str]] = Counter()
        self._struck: Counter[tuple[int, str]] = Counter()
        self._counters = counters

    def strike(self, request: Request, *, session: int | None = None, only_named: bool = False) -> Fault | None:
        """Return the fault for a request of the session of a login, if any; `only_named` tries only faults with a path."""
        for index, fault in enumerate(self._faults):
            if only_named and not fault.path:
                continue
            if fault.session not in (None, session):
                continue
            if fault.path in request.target and self._strikes(index, fault, request):
                self._counters.faults[fault.kind] += 1
                return fault
        return None

    def _strikes(self, index: int, fault: Fault, request: Request) -> bool:
        if fault.kind in _NEED_RANGE and "range" not in request.headers:
            return False
        key = (index, request.path if fault.each_path else "")
        self._matched[key] += 1
        if fault.first is not None and self._matched[key] > fault.first:
            return False
        if self._matched[key] % fault.every or (fault.times is not None and self._struck[key] >= fault.times):
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        self._struck[key] += 1
        return True
