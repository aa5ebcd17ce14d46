"""One ``cookies.txt`` for argosy, curl and wget: one after the other, at the same time, and after kills."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import argosy
from argosy_devkit import LibraryServer
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
    return set_sail(items=6, lease_mode="revoke", max_workers=4, size=2000, cookie_store=STORE)


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
    assert any("removed cookies of the session" in notice for notice in report.notices)
    assert (voyage.wrong(), refusals(voyage), report.logins) == ([], (0, 0, 0, 0), 1)


# -- what a person writes for a jar that is there already


def test_a_jar_as_login_and_store_in_one(voyage: Voyage) -> None:
    jar = voyage.root / "cookies.txt"
    curl_login(jar, voyage.server)
    voyage.config |= {"auth": {"use": "cookies", "path": "cookies.txt"}, "force_redownload": True}
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.logins) == (6, 0)
    done = voyage.argosy("login", str(voyage.file))
    assert (done.returncode, done.stderr) == (0, "")
    assert argosy.download(voyage.file).counts.done == 6
    curl(jar, f"{voyage.server.url}/files/by-hand?size=100")
    assert argosy.download(voyage.file).counts.done == 6
    assert (voyage.wrong(), refusals(voyage), voyage.server.stats().logins) == ([], (0, 0, 0, 0), 1)


def test_a_jar_as_login_and_store_that_is_not_there(voyage: Voyage) -> None:
    voyage.config["auth"] = {"use": "cookies", "path": "cookies.txt"}
    done = voyage.run()
    assert done.returncode == 3
    assert "cookies.txt does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_jar_whose_session_has_ended_and_was_made_anew(voyage: Voyage) -> None:
    jar = voyage.root / "cookies.txt"
    curl_login(jar, voyage.server)
    voyage.config |= {"auth": {"use": "cookies", "path": "cookies.txt"}}
    voyage.server.expire_sessions()
    done = voyage.run()
    assert done.returncode == 3, "argosy cannot renew it"
    curl_login(jar, voyage.server)
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr


# -- at the same time


class Shop:
    """Another site, for which somebody uses the same jar all the time."""

    def __init__(self, jar: Path, server: LibraryServer) -> None:
        self.jar = jar
        self.url = server.login_url.replace("127.0.0.1", "localhost")
        self.visits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        while not self._stop.is_set():
            # slow enough that the token it has read is replaced long before it writes its jar
            curl(self.jar, self.url)
            self.visits += 1

    def __enter__(self) -> Shop:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def test_curl_at_another_site_writes_old_tokens_back_during_a_run(
    voyage: Voyage, library_server: Callable[..., LibraryServer]
) -> None:
    jar = voyage.root / "cookies.txt"
    curl_login(jar, voyage.server)
    shop = library_server(ttfb=0.05)
    voyage.config |= {"force_redownload": True}
    with Shop(jar, shop) as visitor:
        while visitor.visits < 6:
            report = argosy.download(voyage.file)
            assert report.counts.done == 6, report.failures
    curl(jar, f"{voyage.server.url}/files/by-hand?size=100")
    assert argosy.download(voyage.file).counts.done == 6
    assert (voyage.wrong(), refusals(voyage), voyage.server.stats().logins) == ([], (0, 0, 0, 0), 1)
    assert "\nlocalhost\t" in jar.read_text("utf-8").replace("#HttpOnly_", "")


def test_logging_in_with_curl_during_a_run(voyage: Voyage) -> None:
    """Its session is taken over, or the run's own goes on; no item fails, and no token is sent twice."""
    jar = voyage.root / "cookies.txt"
    curl_login(jar, voyage.server)
    voyage.config |= {"force_redownload": True}
    for _ in range(2):
        other = threading.Timer(0.05, curl_login, (jar, voyage.server))
        other.start()
        assert argosy.download(voyage.file).counts.done == 6
        other.join()
    assert argosy.download(voyage.file).counts.done == 6
    assert (voyage.wrong(), refusals(voyage)) == ([], (0, 0, 0, 0))


# -- kills


@pytest.mark.torture(47)
def test_killed_at_any_moment_the_jar_is_whole(set_sail: SetSail) -> None:
    """Whatever is killed, the jar can be read, and the next run has at most a login more to do."""
    voyage = set_sail(items=12, lease_mode="revoke", max_workers=4, size=2000, cookie_store=STORE)
    jar, dice = voyage.root / "cookies.txt", random.Random(47)
    curl_login(jar, voyage.server)
    voyage.config |= {"force_redownload": True}
    for _ in range(6):
        before = voyage.server.stats().accepted
        process = voyage.start("--quiet")
        while process.poll() is None and voyage.server.stats().accepted < before + 2:
            time.sleep(0.005)
        time.sleep(dice.uniform(0, 0.1))
        process.kill()
        process.communicate()
        text = jar.read_text("utf-8")
        assert text.startswith("# Netscape HTTP Cookie File\n")
        assert text.count("\ttoken\t") == 1
    assert argosy.download(voyage.file).counts.done == 12
    curl(jar, f"{voyage.server.url}/files/by-hand?size=100")
    stats = voyage.server.stats()
    assert (voyage.wrong(), stats.replaced_tokens_sent, stats.sessions_revoked) == ([], 0, 0)
