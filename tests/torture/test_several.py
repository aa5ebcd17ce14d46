"""The torture table, section several at once: a run and a script on one store."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import script
from voyage import Voyage

SetSail = Callable[..., Voyage]


@pytest.mark.torture(61)
def test_two_terminals_one_account(set_sail: SetSail) -> None:
    voyage = set_sail(items=120, lease_mode="revoke", max_workers=4, size=3000)
    first = voyage.start("--quiet")
    other = voyage.start("--quiet", "--directory", str(voyage.root / "elsewhere"))
    endings = [(process.communicate(timeout=90)[1], process.returncode) for process in (first, other)]
    assert endings == [("", 0)] * 2
    stats = voyage.server.stats()
    assert (voyage.wrong(), len(list((voyage.root / "elsewhere").glob("item-*")))) == ([], 120)
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins, stats.accepted) == (0, 0, 1, 241)


@pytest.mark.torture(62)
def test_status_names_who_is_at_work(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=2, size=40_000, rate=40_000)
    both = [voyage.start("--quiet"), voyage.start("--quiet")]
    while voyage.server.stats().active < 4:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.02)
    lines = _at_work(voyage)
    assert len(lines) == 2
    for process in both:
        (line,) = [line for line in lines if f"process {process.pid} on " in line]
        assert "on 2 items: item-000" in line
    both[0].kill()
    both[0].wait()
    (left,) = [line for line in _at_work(voyage, "left") if f"process {both[0].pid} " in line]
    assert "2 items" in left
    voyage.server.change(rate=0)
    assert both[1].wait(timeout=90) == 0, "the living one takes over what the dead one left"
    for process in both:
        process.communicate()
    assert (voyage.wrong(), _at_work(voyage), _at_work(voyage, "left")) == ([], [], [])


def _at_work(voyage: Voyage, word: str = "at work") -> list[str]:
    done = voyage.argosy("status", str(voyage.library))
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(word)]


@pytest.mark.slow
@pytest.mark.torture(63)
@pytest.mark.parametrize("store", ["json-file", "sqlite", "netscape"])
def test_a_run_and_two_scripts_on_one_store(set_sail: SetSail, store: str) -> None:
    file = {"use": store, "path": "cookies"}
    voyage = set_sail(items=150, lease_mode="revoke", max_workers=8, size=3000, cookie_store=file)
    process = voyage.start("--quiet")
    while voyage.server.stats().accepted < 2:  # there is a session, and the run is under way
        assert process.poll() is None
        time.sleep(0.01)
    path = str(voyage.root / "cookies")
    scripts = [script.start(voyage.server.url, 25, store, path=path) for _ in range(2)]
    endings = [(own.communicate(timeout=60)[1], own.returncode) for own in scripts]
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode, endings) == ("", "", 0, [("", 0)] * 2)
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.logins) == (0, 0, 0, 1)
    assert sum("script" in path for path in stats.bodies_completed) == 100
    assert stats.accepted == 1 + 150 + 200
