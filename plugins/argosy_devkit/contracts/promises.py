"""What every test of a contract carries: the promise that it tests, and where that is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])

#: The heading of what is added to the report of a test that failed.
HEADING = "the promise that was broken"


class BrokenPromise(AssertionError):
    """A promise was broken that is not the one of the test that needs it.

    Parameters
    ----------
    words
        What happened.
    promise
        The promise.
    place
        Where it is documented.
    """

    def __init__(self, words: str, promise: str, place: str) -> None:
        super().__init__(words)
        self.promise = promise
        self.place = place


@contextmanager
def relying_on(promise: str, place: str, words: str) -> Iterator[None]:
    """Blame a promise for whatever is raised, as the test is about another one.

    Parameters
    ----------
    promise, place
        The promise, and where it is documented.
    words
        What was called; what it raised is added.
    """
    try:
        yield
    except (AssertionError, NotImplementedError):
        raise
    except Exception as error:
        raise BrokenPromise(f"{words} raised {type(error).__name__}: {error}", promise, place) from error


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


def promise_of(suite: Any, function: Any, error: BaseException | None = None) -> str | None:
    """Return what the report of a test that failed is to say; None where it is no test of a contract.

    Parameters
    ----------
    suite
        The test's class, if it has one.
    function
        The test.
    error
        What it raised; a `BrokenPromise` names another promise than the test's own.
    """
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
