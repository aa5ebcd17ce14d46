"""The file that all programs of a user share: what is in it is only politeness."""

from __future__ import annotations

import fcntl
import os
import random
import stat
from pathlib import Path

import pytest

from argosy.interfaces import PluginContext, RateLimit
from argosy.models.host_state import HostState
from argosy.ratelimit.limiter import ProcessRateLimit
from argosy.toolkit.processes import clock
from argosy_plugins.ratelimits.host import BUCKETS, ENTRY, WAYS, HostRateLimit

SIZE = BUCKETS * WAYS * ENTRY


def host(path: Path) -> HostRateLimit:
    return HostRateLimit({"path": str(path)}, PluginContext())


@pytest.fixture(params=["file", "memory"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> RateLimit:
    return host(tmp_path / "state" / "rate-limits") if request.param == "file" else ProcessRateLimit()


def slow_down(state: HostState, now: float) -> None:
    state.throttled(now, now, 20.0)


def hold(table: RateLimit, place: str) -> float:
    """Return the seconds that a host is held back for."""
    state = table.read(place)
    return 0.0 if state is None else max(state.hold - clock(), 0.0)


def test_what_is_changed_is_read(table: RateLimit) -> None:
    assert table.read("a.example") is None
    table.update("a.example", slow_down)
    assert 15 < hold(table, "a.example") <= 20
    assert table.read("b.example") is None
    now = clock()
    table.started("a.example", now)
    table.started("b.example", now)
    state = table.read("a.example")
    assert state is not None
    assert state.seen == now
    assert table.read("b.example") is None


def test_many_hosts_find_room(table: RateLimit) -> None:
    names = [f"{number}.example" for number in range(3 * BUCKETS * WAYS)]
    for name in names:
        table.update(name, lambda state, now: None)
    table.update("a.example", slow_down)
    for name in names[:1000]:
        table.update(name, lambda state, now: None)
    assert hold(table, "a.example") > 15, "a host that matters made room for one that does not"


def test_the_file_is_private_and_small(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        table = host(tmp_path / "state" / "rate-limits")
    finally:
        os.umask(umask)
    for number in range(100):
        table.update(f"secret-{number}.example", slow_down)
    assert stat.S_IMODE(table.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(table.path.parent.stat().st_mode) == 0o700
    assert table.path.stat().st_size <= SIZE
    assert b"secret" not in table.path.read_bytes()


@pytest.mark.parametrize("rubbish", ["random", "empty", "cut", "flipped"])
def test_rubbish_is_ignored_and_written_over(tmp_path: Path, rubbish: str) -> None:
    table = host(tmp_path / "rate-limits")
    table.update("a.example", slow_down)
    data = table.path.read_bytes()
    at = next(n for n in range(0, len(data), ENTRY) if any(data[n : n + 16]))
    whole = {
        "random": random.Random(7).randbytes(SIZE),
        "empty": b"",
        "cut": data[: at + 50],
        "flipped": data[: at + 40] + bytes([data[at + 40] ^ 1]) + data[at + 41 :],
    }[rubbish]
    with table.path.open("r+b") as file:  # in place: the table has it open
        file.truncate(0)
        file.write(whole)
    assert table.read("a.example") is None
    table.update("a.example", slow_down)
    assert hold(table, "a.example") > 15


def test_a_time_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    table = host(tmp_path / "rate-limits")

    def nonsense(state: HostState, now: float) -> None:
        state.hold = now + 1e9

    table.update("a.example", nonsense)
    assert table.read("a.example") is None
    table.update("a.example", slow_down)
    assert hold(table, "a.example") <= 20


def test_a_file_that_was_replaced_is_found(tmp_path: Path) -> None:
    one = host(tmp_path / "rate-limits")
    one.update("a.example", slow_down)
    one.path.unlink()
    other = host(tmp_path / "rate-limits")
    other.update("a.example", lambda state, now: None)
    one._looked = -1e9  # a second later
    assert hold(one, "a.example") == 0


def test_a_holder_of_the_lock_that_was_stopped_holds_nobody_up(tmp_path: Path) -> None:
    table = host(tmp_path / "rate-limits")
    table.update("b.example", slow_down)
    with table.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        table.update("a.example", slow_down)
    assert hold(table, "a.example") > 15


@pytest.mark.parametrize("what", ["a file", "a symlink", "a pipe", "open to all"])
def test_a_file_that_cannot_be_used_is_an_os_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "state" / "rate-limits"
    if what == "a file":
        path.parent.touch()
    else:
        path.parent.mkdir()
    if what == "a symlink":
        (tmp_path / "other").touch()
        path.symlink_to(tmp_path / "other")
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "open to all":
        path.parent.chmod(0o777)
    with pytest.raises(OSError, match=r"."):
        host(path).read("a.example")
