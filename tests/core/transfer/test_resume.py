"""The part of a resource, and what is known of it: after a kill, after a power loss, and when it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import TransferError
from argosy.toolkit.processes import boot_id
from argosy.transfer.resume import RESUME_MIN, SYNC_EVERY, Partial, ResumeState

KNOWN = ResumeState(etag='"1"', place="here", length=5 * RESUME_MIN)
needs_boot_id = pytest.mark.skipif(not boot_id(), reason="needs a system that tells its boots apart")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0-abcd.part"


def wrote(path: Path, size: int, known: ResumeState = KNOWN, *, keep: bool = True) -> None:
    """Write so many bytes, and end as an attempt that failed does; or as one that was killed."""
    with Partial(path).lock() as partial:
        partial.begin(known, resumable=True)
        for start in range(0, size, 1000):
            partial.write(b"x" * min(1000, size - start))
        if keep:
            partial.keep()


def names(path: Path) -> list[str]:
    """Return what lies in the folder."""
    return [entry.name for entry in path.parent.iterdir()]


def found(path: Path) -> tuple[int, bool]:
    """Return how many bytes can be gone on from, and whether anything is known of them."""
    with Partial(path).lock() as partial:
        return partial.size, partial.state is not None


def another_boot(path: Path, **changes: Any) -> None:
    """Let the side file look as if the machine had been started anew since."""
    side = path.with_name(f"{path.name}.json")
    side.write_text(
        json.dumps({**json.loads(side.read_text("utf-8")), "boot": "another", **changes}), "utf-8"
    )


@needs_boot_id
def test_a_failed_attempt_leaves_all_its_bytes(path: Path) -> None:
    wrote(path, 5000)
    assert found(path) == (5000, True)


@needs_boot_id
@pytest.mark.parametrize(("size", "left"), [(RESUME_MIN // 2, 0), (2 * RESUME_MIN, 2 * RESUME_MIN)])
def test_a_kill_leaves_all_bytes_of_what_is_worth_it(path: Path, size: int, left: int) -> None:
    wrote(path, size, keep=False)
    assert found(path) == (left, left > 0)


def test_after_a_power_loss_only_what_was_synced_counts(path: Path) -> None:
    wrote(path, 3 * RESUME_MIN)
    another_boot(path)
    assert found(path) == (3 * RESUME_MIN, True), "a failed attempt syncs what is worth it"
    with path.open("ab") as file:
        file.write(bytes(5000))  # junk
    assert found(path) == (3 * RESUME_MIN, True)
    with Partial(path).lock() as partial:
        partial.resume(replace(KNOWN, synced=partial.size))
        assert path.stat().st_size == 3 * RESUME_MIN, "the junk is still there"
        partial.write(b"end")
    assert path.read_bytes()[-4:] == b"xend"


def test_after_a_power_loss_nothing_counts_that_was_not_synced(path: Path) -> None:
    wrote(path, 5000)
    another_boot(path)
    assert found(path) == (0, True)


def test_a_long_transfer_is_synced_on_its_way(path: Path) -> None:
    with Partial(path).lock() as partial:
        partial.begin(replace(KNOWN, length=None), resumable=True)
        for _ in range(SYNC_EVERY // RESUME_MIN + 2):
            partial.write(bytes(RESUME_MIN))
    another_boot(path)
    size, known = found(path)
    assert (size >= SYNC_EVERY, known) == (True, True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\0",
        b"{}",
        b"[" * 100_000,
        json.dumps({**asdict(KNOWN), "more": 1}).encode(),
        json.dumps({**asdict(KNOWN), "synced": -1}).encode(),
        json.dumps({**asdict(KNOWN), "synced": True}).encode(),
        json.dumps({**asdict(KNOWN), "synced": 5001}).encode(),
        json.dumps({**asdict(KNOWN), "length": 10, "synced": 20}).encode(),
        json.dumps({**asdict(KNOWN), "etag": 5}).encode(),
        json.dumps({**asdict(KNOWN), "digests": []}).encode(),
    ],
)
def test_a_side_file_that_does_not_fit_is_worth_nothing(path: Path, content: bytes) -> None:
    wrote(path, 5000)
    path.with_name(f"{path.name}.json").write_bytes(content)
    assert found(path) == (0, False)
    wrote(path, 100)
    assert path.stat().st_size == 100


def test_bytes_without_a_side_file_are_worth_nothing(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    assert found(path) == (0, False)
    wrote(path, 100)
    assert path.read_bytes() == b"x" * 100


def test_a_side_file_without_its_bytes_is_worth_nothing(path: Path) -> None:
    wrote(path, 2 * RESUME_MIN)
    path.unlink()
    assert found(path) == (0, False)


def test_the_side_file_goes_before_other_bytes_come(path: Path) -> None:
    wrote(path, 2 * RESUME_MIN)
    with Partial(path).lock() as partial:
        partial.begin(replace(KNOWN, etag='"2"'), resumable=True)
        assert names(path) == [path.name]
        partial.write(b"x")


@pytest.mark.parametrize(
    ("known", "provable", "headers"),
    [
        (ResumeState(etag='"1"'), False, {"Range": "bytes=10-", "If-Range": '"1"'}),
        (ResumeState(modified="Tue"), False, {"Range": "bytes=10-", "If-Range": "Tue"}),
        (ResumeState(), False, {}),
        (ResumeState(), True, {"Range": "bytes=10-"}),
    ],
)
def test_conditions(path: Path, known: ResumeState, provable: bool, headers: dict[str, str]) -> None:
    with Partial(path).lock() as partial:
        assert partial.conditions(provable=provable) == {}
        partial.begin(known, resumable=True)
        partial.write(b"x" * 10)
        assert partial.conditions(provable=provable) == headers


def test_what_is_not_worth_it_is_not_kept(path: Path) -> None:
    with Partial(path).lock() as partial:
        partial.begin(ResumeState(), resumable=False)
        partial.write(bytes(2 * RESUME_MIN))
        partial.keep()
    assert names(path) == []


def test_another_process_that_still_writes(path: Path) -> None:
    code = (
        "import sys, pathlib; from argosy.transfer.resume import Partial, ResumeState\n"
        "with Partial(pathlib.Path(sys.argv[1])).lock() as p:\n"
        "    p.begin(ResumeState(etag='\"1\"'), resumable=True); p.write(b'x'); print('there', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        with pytest.raises(TransferError, match="still writing") as caught, Partial(path).lock():
            pass
        assert (caught.value.kind, caught.value.retryable) == ("busy", True)
        process.communicate()
    assert path.read_bytes() == b"x"
    with Partial(path).lock():
        pass
