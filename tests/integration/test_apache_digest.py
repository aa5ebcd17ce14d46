"""The auth `digest` on Apache: with nonces for one request, and with nonces that live for some minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import argosy
from apache import PASSWORD, USER, Apache, apache, body
from argosy_devkit.contracts.waiting import wait_until
from servers.trip import SPREADS, Trip

pytestmark = pytest.mark.slow

FILES = 60
Run = Callable[..., tuple[Apache, Trip]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("SERVICE_PASSWORD", PASSWORD)
    with ExitStack() as servers:

        def start(lifetime: int = 0, **options: Any) -> tuple[Apache, Trip]:
            server = servers.enter_context(apache(tmp_path / "apache", FILES, lifetime))
            auth = {"use": "digest", "origins": [server.url], "user": USER, "password": {"env": "SERVICE_PASSWORD"}}
            options = {key: value.format(url=server.url) for key, value in options.items()}
            return server, Trip(tmp_path, {**auth, **options}, lambda n: f"{server.url}/{n}.bin", body, FILES)

        yield start


@pytest.mark.torture(134)
@pytest.mark.parametrize("spread", SPREADS)
def test_a_nonce_for_one_request_is_sent_once(run: Run, spread: str) -> None:
    server, trip = run()
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong(), report.logins, report.refusals) == (FILES, [], 1, 0)
    challenges = server.statuses().count("401")
    assert server.replaced_nonces() == 0
    assert challenges <= (8 if spread == "4 processes" else 1), "at the start, and if two were challenged at once"
    assert report.lease_used == "exclusive"
    again = trip.run(force_redownload=True)
    assert (again.counts.done, again.logins) == (FILES, 0)
    assert (server.replaced_nonces(), server.statuses().count("401")) == (0, challenges), "it has the last nonce"


@pytest.mark.torture(134)
def test_two_terminals_share_the_nonces(run: Run) -> None:
    server, trip = run()
    assert [(p.returncode, p.stderr) for p in trip.terminals(2)] == [(0, ""), (0, "")]
    assert trip.wrong() == []
    assert sum(report["logins"] for report in trip.reports()) == 1
    assert server.replaced_nonces() == 0
    assert server.statuses().count("401") <= 4, "at the start, and if both were challenged at once"


@pytest.mark.torture(134)
def test_after_a_kill_there_is_one_more_challenge(run: Run) -> None:
    server, trip = run()
    trip.config |= SPREADS["8 threads"]
    command = [sys.executable, "-m", "argosy", "download", str(trip.file), "--quiet"]
    killed = subprocess.Popen(command, env=os.environ | {"NO_COLOR": "1"})
    wait_until(lambda: (server.root / "access.log").exists() and len(server.statuses()) >= 10, "some files")
    killed.send_signal(signal.SIGKILL)
    killed.wait(30)
    report = trip.run()
    assert (trip.wrong(), report.logins) == ([], 0)
    assert server.replaced_nonces() == 0
    assert server.statuses().count("401") <= 2


def test_the_check_at_the_login_hands_its_nonce_on(run: Run) -> None:
    server, trip = run(check="{url}/0.bin")
    assert argosy.login(trip.file) == ["default"]
    report = trip.run(**SPREADS["8 threads"])
    assert (report.counts.done, report.logins) == (FILES, 0)
    assert (server.replaced_nonces(), server.statuses().count("401")) == (0, 1)


@pytest.mark.parametrize("spread", SPREADS)
def test_requests_overlap_if_nonces_live_longer(run: Run, spread: str) -> None:
    server, trip = run(lifetime=300)
    report = trip.run(**SPREADS[spread])
    assert (report.counts.done, trip.wrong(), report.logins, report.refusals) == (FILES, [], 1, 0)
    assert report.lease_used == "shared"
    assert server.statuses().count("401") <= (4 if spread == "4 processes" else 1)


def test_a_missing_file_costs_one_challenge(run: Run) -> None:
    server, trip = run()
    trip.url = lambda n: f"{server.url}/{n if n != 20 else 'missing'}.bin"
    report = trip.run(**SPREADS["8 threads"], max_retries=0)
    assert (report.counts.done, report.counts.failed, report.logins) == (FILES - 1, 1, 1)
    assert server.statuses().count("401") <= 2
