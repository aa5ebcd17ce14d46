"""One session for each imported jar: none of them can be logged in again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import argosy
import processes
from argosy.errors import ConfigError, SessionLost
from argosy_devkit import Fault, LibraryServer
from voyage import Voyage, after

SetSail = Callable[..., Voyage]

THREE = {"use": "multiprocess", "processes": 3}
STRATEGIES = [
    "threads",
    pytest.param(THREE, marks=pytest.mark.skipif(not processes.CAN_LOOK, reason="needs POSIX"), id="processes"),
]


def export(server: LibraryServer, path: Path) -> Path:
    """Log in as a browser does, and export its cookies."""
    browser = requests.Session()
    browser.trust_env = False
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get(server.login_url).text)
    assert csrf is not None
    fields = {"csrf": csrf[1], "realm": "library", "user": server.user, "password": server.password}
    browser.post(server.login_url, fields, allow_redirects=False)
    line = f"127.0.0.1\tFALSE\t/\tFALSE\t{int(time.time()) + 86400}\ttoken\t{browser.cookies['token']}\n"
    path.write_text(f"# Netscape HTTP Cookie File\n{line}", "utf-8")
    path.chmod(0o600)
    browser.close()
    return path


def with_jars(voyage: Voyage, number: int) -> None:
    """Set a download out with so many exported jars instead of a login."""
    jars = [export(voyage.server, voyage.root / f"jar-{n}.txt").name for n in range(1, number + 1)]
    voyage.config["auth"] = {"use": "cookies", "path": jars}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_session_for_each_jar(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=90, lease_mode="revoke", max_workers=6, strategy=strategy)
    with_jars(voyage, 3)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.sessions, voyage.wrong()) == (90, 3, [])
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (3, 0, 0)
    assert all(stats.accepted_by_login[login] > 15 for login in "123")


@pytest.mark.parametrize("sessions", [1, 3])
def test_jars_and_sessions_must_agree(set_sail: SetSail, sessions: int) -> None:
    voyage = set_sail(items=3, sessions=sessions)
    with_jars(voyage, 2)
    with pytest.raises(ConfigError, match=rf'"sessions" asks for {sessions}, but the auth \'cookies\' has 2'):
        argosy.download(voyage.file)
    voyage.config["sessions"] = 2
    assert argosy.download(voyage.file).sessions == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_jar_that_the_service_refuses_is_left_out(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=6, strategy=strategy)
    with_jars(voyage, 3)
    voyage.server.expire_sessions(1)
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong(), report.exit_code) == (60, [], 0)
    told = [notice for notice in report.notices if "refused the session 'default'" in notice]
    assert len(told) == 1
    assert voyage.server.stats().refused <= 6


def test_jars_that_are_of_no_use_are_named(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", max_workers=3)
    with_jars(voyage, 4)
    (voyage.root / "jar-2.txt").write_bytes((voyage.root / "jar-1.txt").read_bytes())
    (voyage.root / "jar-3.txt").unlink()
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.sessions, stats.refused, stats.replaced_tokens_sent) == (12, 2, 0, 0)
    assert any("jar-1.txt" in n and "jar-2.txt hold the same session" in n for n in report.notices)
    assert any("jar-3.txt does not exist" in notice for notice in report.notices)


def test_no_jar_left(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=4)
    with_jars(voyage, 2)
    with pytest.raises(SessionLost) as raised:
        argosy.download(voyage.file, after(10, voyage.server.expire_sessions))
    assert raised.value.exit_code == 3
    assert 10 <= len(voyage.done()) < 60


@pytest.mark.parametrize(
    "options", [{}, {"commit": "body", "lease": "exclusive-to-end", "size": 200_000}], ids=["headers", "body"]
)
def test_a_jar_is_not_lost_by_what_its_account_may_not_have(set_sail: SetSail, options: dict[str, Any]) -> None:
    voyage = set_sail(
        items=40,
        lease_mode="revoke",
        max_workers=1,
        **options,
        faults=[Fault("status", status=401, path="item-00020")],
    )
    with_jars(voyage, 2)
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.counts.failed, report.sessions) == (39, 1, 2)
    assert report.notices == ()
