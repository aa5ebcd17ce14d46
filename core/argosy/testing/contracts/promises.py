"""What every test of a contract carries: the promise that it tests, and where that is documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])

#: The heading of what is added to the report of a test that failed.
HEADING = "the promise that was broken"


def documented_at(place: str) -> Callable[[_Function], _Function]:
    """Say where the promise of one test is documented, where that is another place than that of its class.

    Parameters
    ----------
    place
        A name that ``pydoc`` finds, or a document.
    """

    def mark(function: _Function) -> _Function:
        function.__dict__["argosy_documented_at"] = place
        return function

    return mark


def promise_of(suite: Any, function: Any) -> str | None:
    """Return what the report of a test that failed is to say; None where it is no test of a contract.

    Parameters
    ----------
    suite
        The test's class, if it has one.
    function
        The test.
    """
    owner = next((cls for cls in getattr(suite, "__mro__", ()) if function.__name__ in vars(cls)), None)
    place = getattr(function, "argosy_documented_at", None) or getattr(owner, "documented", None)
    plugin = getattr(suite, "plugin", None)
    if place is None or plugin is None or not function.__doc__:
        return None
    promise = " ".join(function.__doc__.split())
    name = getattr(plugin, "name", plugin.__name__)
    return f"{plugin.__name__} ({name!r}) broke this promise: {promise}\nIt is documented at: {place}"
