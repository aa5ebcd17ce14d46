"""The errors: each survives pickling with its fields, and has the exit code that its place in the tree gives it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from argosy import errors
from argosy.errors import (
    ArgosyError,
    ConfigError,
    GenerationMoved,
    Problem,
    SessionLost,
    SourceError,
    TransferError,
)

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ArgosyError)]
PROBLEMS = (
    Problem("books.jsonl:3", "no URL", "an http URL"),
    Problem("a.toml: x", "1", "a text"),
)
EXIT_CODES = {
    "ArgosyError": 1,
    "ConfigError": 2,
    "SessionError": 3,
    "SourceError": 4,
    "StorageError": 5,
    "BusyError": 6,
    "PluginError": 7,
    "TransferError": 1,
    "Interrupted": 130,
}


def _make(cls: type[ArgosyError]) -> ArgosyError:
    if issubclass(cls, (ConfigError, SourceError)):
        return cls("Two things are wrong.", PROBLEMS, hint="Mend them.")
    if issubclass(cls, TransferError):
        return cls("It broke.", kind="cut", retryable=True, retry_after=2.5, hint="Try again.", status=503)
    return cls("It broke.", hint="Try again.", path="a/b", number=7)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_error_survives_pickling_with_its_fields(cls: type[ArgosyError], protocol: int) -> None:
    error: Any = _make(cls)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert again.__dict__ == error.__dict__
    assert (str(again), again.args, again.hint) == (str(error), error.args, error.hint)
    assert copy.copy(error).__dict__ == error.__dict__


@pytest.mark.parametrize("cls", CLASSES)
def test_the_message_says_what_happened_and_what_to_do(cls: type[ArgosyError]) -> None:
    error = _make(cls)
    assert str(error).startswith(f"{error.message} {error.hint}")


def test_all_problems_are_named() -> None:
    error = ConfigError("Two things are wrong.", PROBLEMS)
    assert str(error) == ("Two things are wrong.\n  books.jsonl:3: no URL; an http URL\n  a.toml: x: 1; a text")


@pytest.mark.parametrize("cls", CLASSES)
def test_the_exit_code_comes_from_the_tree(cls: type[ArgosyError]) -> None:
    expected = next(EXIT_CODES[base.__name__] for base in cls.__mro__ if base.__name__ in EXIT_CODES)
    assert cls.exit_code == expected


def test_errors_outside_the_core_survive_too() -> None:
    with pytest.raises(SessionLost) as error:
        raise SessionLost("Lost.", hint="Log in.") from GenerationMoved("Moved.")
    assert pickle.loads(pickle.dumps(error.value)).hint == "Log in."
