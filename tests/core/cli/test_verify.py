"""Reading files of a storage again, several at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from argosy.cli.verify import problems
from argosy.errors import StorageError
from argosy.interfaces.storage import Storage
from argosy.models.items import PublishedFile, Verification


def file(number: int) -> PublishedFile:
    return PublishedFile(f"{number}.bin", number, "", Verification.DIGEST)


class Barrier:
    """A storage that answers only when this many threads ask at the same time."""

    def __init__(self, number: int) -> None:
        self._gate = threading.Barrier(number, timeout=60)

    def problem(self, file: PublishedFile) -> str | None:
        self._gate.wait()
        return "is missing" if file.size % 3 == 0 else None


def test_files_are_read_concurrently_and_reported_in_order() -> None:
    storage = cast("Storage", Barrier(4))
    found = list(problems(storage, ((str(n), file(n)) for n in range(12)), 4))
    assert [(owner, f.size) for owner, f, _ in found] == [(str(n), n) for n in range(12)]
    assert [n for n, (_, _, problem) in enumerate(found) if problem] == [0, 3, 6, 9]


def test_the_list_of_files_is_read_as_needed() -> None:
    taken: list[int] = []

    def files() -> Iterator[tuple[None, PublishedFile]]:
        for number in range(10_000):
            taken.append(number)
            yield None, file(number)

    found = problems(cast("Storage", Barrier(1)), files(), 1)
    next(found)
    assert len(taken) == 2
    cast("Any", found).close()


def test_a_storage_that_fails_ends_the_verification() -> None:
    class Fails:
        def problem(self, file: PublishedFile) -> str | None:
            if file.size == 5:
                raise StorageError("It is down.")
            return None

    seen: list[int] = []
    with pytest.raises(StorageError, match="It is down"):
        seen.extend(f.size for _, f, _ in problems(cast("Storage", Fails()), ((0, file(n)) for n in range(99)), 3))
    assert seen == [] or max(seen) < 5
