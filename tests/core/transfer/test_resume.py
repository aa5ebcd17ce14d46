"""Partial files and their state files: after a kill, after a power loss, and when they are damaged."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.errors import TransferError
from argosy.toolkit.processes import boot_id
from argosy.transfer.resume import RESUME_MIN, SYNC_EVERY, Partial, ResumeState

STATE = ResumeState(validator='"1"', place="here", length=5 * RESUME_MIN)
needs_boot_id = pytest.mark.skipif(not boot_id(), reason="needs a system that tells its boots apart")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0-abcd.part"


def write(path: Path, size: int, *, keep: bool = True) -> None:
    """Write some bytes, and end like a failed attempt, or like a killed one."""
    with Partial(path.with_suffix("")).lock() as partial:
        partial.begin(STATE, resumable=True)
        for start in range(0, size, 1000):
            partial.write(b"x" * min(1000, size - start))
        if keep:
            partial.keep()


def state_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.state")


def names(path: Path) -> list[str]:
    """Return the names in the folder."""
    return [entry.name for entry in path.parent.iterdir()]


def usable(path: Path) -> int:
    """Return how many bytes the next attempt can use."""
    with Partial(path.with_suffix("")).lock() as partial:
        assert not partial.size or partial.state.validator == STATE.validator
        return partial.size


def reboot(path: Path) -> None:
    """Make the state file look as if the machine had rebooted since."""
    state = ResumeState.from_bytes(state_file(path).read_bytes())
    state_file(path).write_bytes(replace(state, boot="another").to_bytes())


@needs_boot_id
def test_all_bytes_of_a_failed_attempt_count(path: Path) -> None:
    write(path, 5000)
    assert usable(path) == 5000


@needs_boot_id
@pytest.mark.parametrize(("size", "left"), [(RESUME_MIN // 2, 0), (2 * RESUME_MIN, 2 * RESUME_MIN)])
def test_after_a_kill_all_bytes_of_a_large_file_count(path: Path, size: int, left: int) -> None:
    write(path, size, keep=False)
    assert usable(path) == left


def test_after_a_power_loss_only_synced_bytes_count(path: Path) -> None:
    write(path, 3 * RESUME_MIN)
    reboot(path)
    assert usable(path) == 3 * RESUME_MIN, "a failed attempt did not sync its bytes"
    with path.open("ab") as file:
        file.write(bytes(5000))  # never synced
    assert usable(path) == 3 * RESUME_MIN
    with Partial(path.with_suffix("")).lock() as partial:
        partial.resume(STATE.length)
        assert path.stat().st_size == 3 * RESUME_MIN, "the unsynced bytes are still there"
        partial.write(b"end")
    assert path.read_bytes()[-4:] == b"xend"


def test_after_a_power_loss_no_unsynced_byte_counts(path: Path) -> None:
    write(path, 5000)
    reboot(path)
    assert usable(path) == 0


def test_a_long_transfer_is_synced_now_and_again(path: Path) -> None:
    with Partial(path.with_suffix("")).lock() as partial:
        partial.begin(replace(STATE, length=None), resumable=True)
        for _ in range(SYNC_EVERY // RESUME_MIN + 2):
            partial.write(bytes(RESUME_MIN))
    reboot(path)
    assert usable(path) >= SYNC_EVERY


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        STATE.to_bytes()[:-1],
        STATE.to_bytes().replace(b'"here"', b'"tere"'),
        replace(STATE, synced=5001).to_bytes(),
        replace(STATE, length=10, synced=20).to_bytes(),
    ],
)
def test_bytes_with_a_damaged_state_file_are_worthless(path: Path, content: bytes) -> None:
    write(path, 5000)
    state_file(path).write_bytes(content)
    assert usable(path) == 0
    write(path, 100)
    assert path.stat().st_size == 100


def test_bytes_without_a_state_file_are_worthless(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    assert usable(path) == 0
    write(path, 100)
    assert path.read_bytes() == b"x" * 100


def test_a_state_file_without_its_bytes_is_worthless(path: Path) -> None:
    write(path, 2 * RESUME_MIN)
    path.unlink()
    assert usable(path) == 0


@needs_boot_id
def test_a_left_state_file_asks_under_its_condition(path: Path) -> None:
    """A process died between two steps; the server sends all of another representation, whatever its bytes are beside."""
    write(path, RESUME_MIN // 2)
    path.unlink()
    with Partial(path.with_suffix("")).lock() as partial:
        assert partial.conditions(provable=True) == {}
        partial.begin(replace(STATE, validator='"2"'), resumable=True)
        partial.write(b"other")  # and it is killed
    with Partial(path.with_suffix("")).lock() as partial:
        assert partial.conditions(provable=False) == {"Range": "bytes=5-", "If-Range": STATE.validator}
    reboot(path)
    assert usable(path) == 0, "none of them was synced"


def test_the_state_file_is_removed_before_other_bytes_are_written(path: Path) -> None:
    write(path, 2 * RESUME_MIN)
    with Partial(path.with_suffix("")).lock() as partial:
        partial.begin(replace(STATE, validator='"2"'), resumable=True)
        assert names(path) == [path.name]
        partial.write(b"x")


@pytest.mark.parametrize(
    ("state", "provable", "headers"),
    [
        (ResumeState(validator='"1"'), False, {"Range": "bytes=10-", "If-Range": '"1"'}),
        (ResumeState(validator="Tue"), False, {"Range": "bytes=10-", "If-Range": "Tue"}),
        (ResumeState(), False, {}),
        (ResumeState(), True, {"Range": "bytes=10-"}),
    ],
)
def test_conditions(path: Path, state: ResumeState, provable: bool, headers: dict[str, str]) -> None:
    with Partial(path.with_suffix("")).lock() as partial:
        assert partial.conditions(provable=provable) == {}
        partial.begin(state, resumable=True)
        partial.write(b"x" * 10)
        assert partial.conditions(provable=provable) == headers


def test_a_file_that_cannot_be_resumed_is_not_kept(path: Path) -> None:
    with Partial(path.with_suffix("")).lock() as partial:
        partial.begin(ResumeState(), resumable=False)
        partial.write(bytes(2 * RESUME_MIN))
        partial.keep()
    assert names(path) == []


def test_another_process_that_is_still_writing(path: Path) -> None:
    code = (
        "import sys, pathlib; from argosy.transfer.resume import Partial, ResumeState\n"
        "with Partial(pathlib.Path(sys.argv[1]).with_suffix('')).lock() as p:\n"
        "    p.begin(ResumeState(validator='\"1\"'), resumable=True); p.write(b'x'); print('there', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        with pytest.raises(TransferError, match="still writing") as caught, Partial(path.with_suffix("")).lock():
            pass
        assert (caught.value.kind, caught.value.retryable) == ("busy", True)
        process.communicate()
    assert path.read_bytes() == b"x"
    with Partial(path.with_suffix("")).lock():
        pass


def test_the_state_of_another_version_cannot_be_used(path: Path) -> None:
    write(path, 5000)
    known = json.loads(state_file(path).read_bytes().partition(b" ")[2])
    for other in ({**known, "etag": "x"}, {**known, "response": {}}, {}):
        text = json.dumps(other).encode()
        state_file(path).write_bytes(b"%08x %b" % (zlib.crc32(text), text))
        assert usable(path) == 0
