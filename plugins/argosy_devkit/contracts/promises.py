"""The promise that a contract test checks, and where it is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])

#: The heading of the section added to the report of a failed test.
HEADING = "the promise that was broken"


class BrokenPromise(AssertionError):
    """A promise was broken that another test depends on."""

    def __init__(self, words: str, promise: str, place: str) -> None:
        super().__init__(words)
        self.promise = promise
        self.place = place


@contextmanager
def relying_on(promise: str, place: str, words: str) -> Iterator[None]:
    """Attribute any exception to this promise, because the test is about another one."""
    try:
        yield
    except (AssertionError, NotImplementedError):
        raise
    except Exception as error:
        raise BrokenPromise(f"{words} raised {type(error).__name__}: {error}", promise, place) from error


def documented_at(place: str) -> Callable[[_Function], _Function]:
    """Set where a test's promise is documented, if not at its class's place: a name for ``pydoc`` or a document."""

    def mark(function: _Function) -> _Function:
        function.__dict__["argosy_documented_at"] = place
        return function

    return mark


def promise_of(suite: Any, function: Any, error: BaseException | None = None) -> str | None:
    """Return the text for the report of a failed test, or None if it is not a contract test."""
    owner = next((cls for cls in getattr(suite, "__mro__", ()) if function.__name__ in vars(cls)), None)
    place = getattr(function, "argosy_documented_at", None) or getattr(owner, "documented", None)
    plugin = getattr(suite, "plugin", None)
    if place is None or plugin is None or not function.__doc__:
        return None
    promise = " ".join(function.__doc__.split())
    if isinstance(error, BrokenPromise):
        promise, place = error.promise, error.place
    name = getattr(plugin, "name", plugin.__name__)
    return f"{plugin.__name__} ({name!r}) broke this promise: {promise}\nIt is documented at: {place}"
