"""The torture table, section signals: what ends a run from outside, and what stops it for a while."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hazards import fault, wait_for
from voyage import Voyage

SetSail = Callable[..., Voyage]
Install = Callable[..., dict[str, str]]


@pytest.mark.torture(46)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_a_system_or_a_terminal_ends(set_sail: SetSail, number: signal.Signals, code: int) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=4, ttfb=0.02)
    process = voyage.start("--report", str(voyage.root / "report.json"))
    wait_for(process, lambda: len(voyage.done()) >= 3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, voyage.damaged()) == (code, "", []), err
    assert "Traceback" not in err
    counts = json.loads((voyage.root / "report.json").read_text("utf-8"))["counts"]
    assert counts["done"] + counts["left"] == counts["items"] == 60
    assert counts["done"] == len(voyage.done())
    assert voyage.run("--quiet").returncode == 0
    stats = voyage.server.stats()
    assert (voyage.wrong(), stats.logins, stats.replaced_tokens_sent) == ([], 1, 0)


@pytest.mark.torture(46)
def test_a_pipe_that_is_closed_ends_the_events_and_not_the_run(set_sail: SetSail) -> None:
    voyage = set_sail(items=40, lease_mode="revoke", max_workers=4, ttfb=0.01)
    process = voyage.start("--events", "-")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["kind"] == "run.started"
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(timeout=60) == 0, err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(46)
def test_nobody_reads_the_messages_any_more(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=2, ttfb=0.01)
    process = voyage.start()
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    with process.stdout or process.stderr:
        process.wait(timeout=60)
    assert voyage.damaged() == []
    assert voyage.run("--quiet").returncode == 0
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(48, 66)
def test_stopped_for_longer_than_a_request_may_take(set_sail: SetSail) -> None:
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=1, ttfb=0.3, timeout={"headers": 0.8}, max_retries=5)
    process = voyage.start("--quiet")
    wait_for(process, lambda: voyage.server.stats().accepted >= 3)
    process.send_signal(signal.SIGSTOP)  # an answer is on its way
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err, voyage.wrong()) == (0, "", [])
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)
    assert stats.logins <= 2


@pytest.mark.torture(48, 64)
def test_a_sleeper_whose_lock_was_taken_away_overwrites_nobodys_token(set_sail: SetSail) -> None:
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=1, ttfb=0.3)
    sleeper = voyage.start("--quiet")
    wait_for(sleeper, lambda: voyage.server.stats().accepted >= 3)
    sleeper.send_signal(signal.SIGSTOP)
    try:
        for lock in voyage.root.glob("*cookies.json*lock*"):
            lock.unlink()  # somebody tidies up
        other = Voyage(voyage.root / "other", voyage.server, [])
        other.root.mkdir()
        url = voyage.server.url_for("/files/other?size=10")
        other.config = {**voyage.config, "source": {"use": "urls", "urls": [url]}}
        for place, key in (("auth", "password.txt"), ("cookie_store", "cookies.json")):
            text = json.dumps(other.config[place])
            other.config[place] = json.loads(text.replace(key, str(voyage.root / key)))
        done = other.run("--quiet")
        assert (done.returncode, done.stderr) == (0, "")
        theirs = (voyage.root / "cookies.json").read_bytes()
    finally:
        sleeper.send_signal(signal.SIGCONT)
    _, err = sleeper.communicate(timeout=60)
    assert (sleeper.returncode, voyage.wrong()) == (0, []), err
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)
    assert json.loads(theirs)["sessions"]["default"]["logins"] == 2, "the other one logged in anew"
    last = json.loads((voyage.root / "cookies.json").read_bytes())["sessions"]["default"]
    assert last["logins"] == stats.logins == 2, "and its session is the one that stands"


HANGS = """
    import argosy, pathlib, time

    class Hangs(argosy.Output):
        name = "hangs"
        summary = "An output that never comes back from one item"

        def produce(self, item, scratch):
            if item.item.id == "item-00002":
                (self.context.base / "hanging").touch()
                while True:
                    time.sleep(1)
            return []

    @argosy.hookimpl
    def argosy_output():
        return Hangs
"""


@pytest.mark.slow
@pytest.mark.torture(57, 45)
def test_a_plugin_that_hangs_holds_no_session_and_can_be_interrupted(set_sail: SetSail, install: Install) -> None:
    env = install("hangs", HANGS, "hangs")
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=2, output=["files", "hangs"])
    process = voyage.start(env=env)
    wait_for(process, lambda: len(voyage.done()) == 19)
    assert (voyage.root / "hanging").exists()
    url = voyage.server.url_for("/files/meanwhile?size=9")
    config = {
        **voyage.config,
        "source": {"use": "urls", "urls": [url]},
        "output": ["files"],
        "directory": "meanwhile",
    }
    (voyage.root / "meanwhile.json").write_text(json.dumps(config), "utf-8")
    command = [sys.executable, "-m", "argosy", "download", "--quiet", str(voyage.root / "meanwhile.json")]
    assert subprocess.run(command, env=env, check=False).returncode == 0, "the session is not free"
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    voyage.config["output"] = ["files"]
    assert (voyage.run("--quiet").returncode, voyage.wrong()) == (0, [])
    stats = voyage.server.stats()
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0)


@pytest.mark.slow
@pytest.mark.torture(57, 46)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_does_not_wait_for_a_plugin_that_hangs(
    set_sail: SetSail, install: Install, number: signal.Signals
) -> None:
    env = install("hangs", HANGS, "hangs")
    voyage = set_sail(items=3, lease_mode="revoke", max_workers=2, output=["files", "hangs"])
    process = voyage.start(env=env)
    wait_for(process, (voyage.root / "hanging").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err


CLOCK = """
import os, time
_real, _file = time.time, os.environ.get("CLOCK_OFFSET", "")

def _jumping():
    try:
        with open(_file) as file:
            return _real() + float(file.read())
    except (OSError, ValueError):
        return _real()

time.time = _jumping
"""


@pytest.mark.slow
@pytest.mark.torture(65)
@pytest.mark.parametrize("offset", [86_400, -86_400])
@pytest.mark.parametrize("attributes", ["; Path=/; Max-Age=3600", "; Path=/"])
def test_the_wall_clock_jumps(set_sail: SetSail, tmp_path: Path, offset: int, attributes: str) -> None:
    """The clock of the process: setting the machine's is not for a test."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK, "utf-8")
    shift = tmp_path / "offset"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "clock"), "CLOCK_OFFSET": str(shift)}
    voyage = set_sail(
        items=60, lease_mode="revoke", max_workers=4, ttfb=0.02, cookie_attributes=attributes,
        faults=[fault("status", times=2, retry_after=1)], download_delay=0.001,
    )  # fmt: skip
    process = voyage.start("--quiet", env=env)
    wait_for(process, lambda: voyage.server.stats().accepted >= 10)
    shift.write_text(str(offset), "utf-8")
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out, err, voyage.wrong()) == (0, "", "", [])
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)
    assert stats.logins <= 1 + (offset > 0 and "Max-Age" in attributes), "at most the login of an expired cookie"


@pytest.mark.torture(67)
@pytest.mark.parametrize("days", [10, -10])
def test_the_servers_date_is_wrong(set_sail: SetSail, days: int) -> None:
    from email.utils import formatdate

    there = time.time() + days * 86_400
    attributes = f"; Path=/; Expires={formatdate(there + 3600, usegmt=True)}"
    voyage = set_sail(
        items=20, lease_mode="revoke", max_workers=4, date_offset=days * 86_400, cookie_attributes=attributes
    )
    done = voyage.run("--quiet")
    stats = voyage.server.stats()
    assert (done.returncode, voyage.wrong(), stats.logins, stats.refused) == (0, [], 1, 0), done.stderr
