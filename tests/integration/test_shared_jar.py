"""One ``cookies.txt`` for argosy, curl and wget: one after the other, at the same time, and after kills."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import argosy
from argosy.testing import LibraryServer
from missing import need
from voyage import Voyage

SetSail = Callable[..., Voyage]

STORE = {"use": "netscape", "path": "cookies.txt"}


def curl(jar: Path, url: str, *arguments: str, code: int = 200) -> str:
    """Send one request as a person would, with the jar read and written; return the body."""
    need("curl")
    command = ["curl", "-sS", "-w", "%{stderr}%{http_code}", "-b", str(jar), "-c", str(jar), *arguments, url]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.stderr.decode(), done.returncode) == (str(code), 0)
    return done.stdout.decode("iso-8859-1")


def curl_login(jar: Path, server: LibraryServer) -> None:
    """Log in as the form wants it: its hidden field goes with a cookie."""
    page = curl(jar, server.login_url)
    hidden = re.search(r'name="csrf" value="([^"]+)"', page)
    assert hidden, page
    fields = {"csrf": hidden[1], "realm": "library", "user": server.user, "password": server.password}
    curl(
        jar,
        server.login_url,
        *(word for field in fields.items() for word in ("-d", "=".join(field))),
        code=303,
    )


def wget(jar: Path, url: str, *more: str) -> int:
    need("wget")
    command = [
        "wget",
        "-q",
        "-O",
        "/dev/null",
        "--load-cookies",
        str(jar),
        "--save-cookies",
        str(jar),
        *more,
        url,
    ]
    return subprocess.run(command, timeout=60, check=False).returncode


def refusals(voyage: Voyage) -> tuple[int, ...]:
    stats = voyage.server.stats()
    return stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.sessions_revoked


@pytest.fixture
def voyage(set_sail: SetSail) -> Voyage:
    return set_sail(items=6, discipline="revoke", max_workers=4, size=2000, cookie_store=STORE)


def test_curl_and_argosy_by_turns(voyage: Voyage) -> None:
    jar, url = voyage.root / "cookies.txt", f"{voyage.server.url}/files/by-hand?size=100"
    curl_login(jar, voyage.server)
    voyage.config["force_redownload"] = True
    logins = 0
    for _ in range(3):
        for _ in range(2):
            curl(jar, url)
        report = argosy.download(voyage.file)
        assert report.counts.done == 6
        logins += report.logins
    curl(jar, url)
    assert (voyage.wrong(), refusals(voyage)) == ([], (0, 0, 0, 0))
    assert (logins, voyage.server.stats().logins) == (0, 1), "curl's login is the only one"


def test_wget_and_argosy_by_turns(voyage: Voyage) -> None:
    jar, url = voyage.root / "cookies.txt", f"{voyage.server.url}/files/by-hand?size=100"
    voyage.config |= {"force_redownload": True, "cookie_store": {**STORE, "dialect": "wget"}}
    argosy.download(voyage.file)
    for _ in range(3):
        for _ in range(2):
            assert wget(jar, url, "--keep-session-cookies") == 0
        assert argosy.download(voyage.file).counts.done == 6
    assert (voyage.wrong(), refusals(voyage)) == ([], (0, 0, 0, 0))
    assert voyage.server.stats().logins == 1


def test_wget_that_drops_session_cookies_costs_a_login_and_no_refusal(voyage: Voyage) -> None:
    jar, url = voyage.root / "cookies.txt", f"{voyage.server.url}/files/by-hand?size=100"
    voyage.config["cookie_store"] = {**STORE, "dialect": "wget"}
    argosy.download(voyage.file)
    assert wget(jar, url) == 0
    voyage.config["force_redownload"] = True
    report = argosy.download(voyage.file)
    assert any("taken the session's cookies out" in notice for notice in report.notices)
    assert (voyage.wrong(), refusals(voyage), report.logins) == ([], (0, 0, 0, 0), 1)
