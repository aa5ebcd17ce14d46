"""The lease that is chosen by watching, over real HTTP: what each way of treating tokens costs, and who learns of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

import argosy
import warm
from argosy import PluginContext
from argosy.http.session import open_session
from argosy.leasing.adaptive import QUIET
from argosy.models.session import SessionRecord, Status
from argosy_plugins.auth.form_login import FormLogin
from voyage import Voyage

SetSail = Callable[..., Voyage]

WORKERS = 8


def record(voyage: Voyage) -> SessionRecord:
    """Return the session as it stands in the store."""
    with closing(argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))) as store:
        found = store.read("default")
    assert found is not None
    return found


def again(voyage: Voyage) -> argosy.Report:
    """Download everything once more, and count from 0."""
    voyage.server.reset_stats()
    voyage.config["force_redownload"] = True
    return argosy.download(voyage.file)


def run(*arguments: str, cwd: Path) -> str:
    done = warm.run(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- what each way of treating tokens costs


@pytest.mark.parametrize("lease_mode", ["strict", "revoke", "slide", "grace", "soft", "redirect"])
def test_a_service_that_replaces_tokens_costs_no_refusal(set_sail: SetSail, lease_mode: str) -> None:
    voyage = set_sail(items=60, lease_mode=lease_mode, max_workers=WORKERS, size=2000, ttfb=0.002)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    assert (report.lease_asked, report.lease_used) == ("auto", "exclusive")
    assert "the service replaces tokens" in (report.lease_reason or "")
    assert report.notices == ()


def test_a_service_that_replaces_none_is_shared_after_a_while_and_from_then_on(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="static", max_workers=WORKERS, size=2000, ttfb=0.01)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.refused, stats.logins) == (60, [], 0, 1)
    assert (report.lease_used, record(voyage).learned["quiet"]) == ("shared", QUIET)
    assert len([notice for notice in report.notices if "now overlap" in notice]) == 1
    before = record(voyage)
    report = again(voyage)
    assert (report.counts.done, report.lease_used, report.logins) == (60, "shared", 0)
    assert report.notices == ()
    assert record(voyage) == before, "where nothing rotates, nothing is written"


@pytest.mark.slow
@pytest.mark.parametrize("lease_mode", ["strict", "revoke", "soft", "redirect"])
def test_a_service_that_changes_its_mind_costs_one_switch(set_sail: SetSail, lease_mode: str) -> None:
    """Nothing is lost; those that are under way are refused, and sent again; one login at most; then never again."""
    voyage = set_sail(items=100, lease_mode="static", max_workers=WORKERS, size=2000, ttfb=0.01)
    done = 0

    def on_event(event: Any) -> None:
        nonlocal done
        done += event.kind == "resource.finished"
        if done == QUIET + 20:
            voyage.server.change(lease_mode=lease_mode)

    report = argosy.download(voyage.file, on_event)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (100, [])
    assert stats.rotations > 0
    assert (report.lease_used, record(voyage).learned["proved"]) == ("exclusive", True)
    assert stats.replaced_tokens_sent <= 2 * (WORKERS - 1)
    assert stats.logins <= 2
    assert len([notice for notice in report.notices if "now take turns" in notice]) == 1
    report = again(voyage)
    stats = voyage.server.stats()
    assert (report.counts.done, stats.replaced_tokens_sent, stats.refused, stats.logins) == (100, 0, 0, 0)


@pytest.mark.slow
def test_a_token_that_lasts_longer_than_the_lesson_costs_refusals_and_no_login(set_sail: SetSail) -> None:
    voyage = set_sail(items=100, lease_mode="slide", slide_every=QUIET + 15, max_workers=WORKERS, size=2000, ttfb=0.01)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), report.lease_used) == (100, [], "exclusive")
    assert stats.refused <= WORKERS - 1
    assert (stats.logins, report.logins) == (1, 1)
    assert again(voyage).refusals == 0
    assert voyage.server.stats().replaced_tokens_sent == 0


def test_a_shared_session_that_expires_is_logged_in_once_and_stays_shared(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="static", max_workers=WORKERS, size=2000, ttfb=0.01)
    argosy.download(voyage.file)
    voyage.server.expire_sessions()
    report = again(voyage)
    stats = voyage.server.stats()
    assert (report.counts.done, report.lease_used, stats.logins) == (60, "shared", 1)
    assert stats.refused <= WORKERS


# -- which cookies are tokens


@pytest.mark.torture(132)
@pytest.mark.parametrize(
    ("noise", "names", "lease"),
    [
        ("visits", [], "exclusive"),
        ("visits", ["token"], "shared"),
        ("AWSALB", [], "shared"),
        ("AWSALB", ["token", "AWSALB"], "exclusive"),
    ],
)
def test_statistics_hold_a_session_up_only_where_nobody_knows_them_or_named_the_token(
    set_sail: SetSail, noise: str, names: list[str], lease: str
) -> None:
    voyage = set_sail(
        items=QUIET + 10,
        lease_mode="static",
        noise_cookie=noise,
        max_workers=WORKERS,
        size=1000,
        token_cookies=names,
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.lease_used, voyage.server.stats().logins) == (QUIET + 10, lease, 1)


@pytest.mark.parametrize("second_cookie", [False, True])
def test_named_tokens_are_watched(set_sail: SetSail, second_cookie: bool) -> None:
    voyage = set_sail(
        items=60,
        lease_mode="revoke",
        noise_cookie=True,
        second_cookie=second_cookie,
        max_workers=WORKERS,
        size=1000,
        token_cookies=["token", "token_check"],
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.lease_used) == (60, "exclusive")
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


# -- where nobody can log in again


def test_an_imported_jar_is_never_shared_unless_it_is_told(set_sail: SetSail) -> None:
    voyage = set_sail(items=QUIET + 10, lease_mode="static", max_workers=4, size=1000)
    server = voyage.server
    jar = open_session((10.0, 20.0))
    fields = {"user": server.user, "password": {"file": "password.txt"}}
    FormLogin({"url": server.login_url, "fields": fields}, PluginContext(base=voyage.root)).login(jar)
    jar.http.close()
    export = voyage.root / "export.json"
    export.write_text(json.dumps({cookie.name: cookie.value for cookie in jar.cookies}), "utf-8")
    export.chmod(0o600)
    voyage.config["auth"] = {"use": "cookies", "path": "export.json", "url": server.url}
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.lease_used) == (QUIET + 10, "exclusive")
    assert report.lease_reason == "argosy cannot log in again"
    assert record(voyage).learned == {}
    voyage.config["lease"] = "shared"
    report = again(voyage)
    assert (report.counts.done, report.lease_used, report.lease_reason) == (QUIET + 10, "shared", None)


def test_an_adapter_takes_turns_and_tells_what_it_sees(set_sail: SetSail) -> None:
    voyage = set_sail(items=QUIET + 5, lease_mode="static", max_workers=4, size=1000)
    argosy.download(voyage.file)
    assert record(voyage).learned["lease"] == "shared"
    store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
    adapter = argosy.LeasedAdapter(store)
    with requests.Session() as session:
        session.mount(voyage.server.url, adapter)
        with session.get(voyage.server.url_for("/files/a?size=10"), stream=True) as response:
            assert response.argosy_stamp.exclusive  # type: ignore[attr-defined]  # the adapter's note
        voyage.server.change(lease_mode="strict")
        session.get(voyage.server.url_for("/files/b?size=10")).raise_for_status()
    store.close()
    assert record(voyage).learned["lease"] == "exclusive"
    voyage.server.reset_stats()
    report = again(voyage)
    assert (report.counts.done, report.refusals, report.lease_used) == (QUIET + 5, 0, "exclusive")


# -- other processes


def test_what_one_process_learned_the_next_one_obeys(set_sail: SetSail) -> None:
    voyage = set_sail(items=QUIET + 5, lease_mode="static", max_workers=4, size=1000)
    argosy.download(voyage.file)
    before = record(voyage)
    voyage.config["force_redownload"] = True
    report = voyage.root / "report.json"
    assert voyage.run("--report", str(report)).returncode == 0
    assert record(voyage) == before, "not one of its requests held or marked the session"
    value = json.loads(report.read_text("utf-8"))
    assert value["lease"] == {
        "asked": "auto",
        "used": "shared",
        "reason": f"learned: {QUIET} responses in a row replaced no token",
    }


@pytest.mark.slow
def test_two_processes_switch_back_together(set_sail: SetSail) -> None:
    """One of them sees a token replaced; the other is exclusive at its next lease."""
    voyage = set_sail(items=120, lease_mode="static", max_workers=4, size=1000, ttfb=0.02)
    argosy.download(voyage.file)
    assert record(voyage).learned["lease"] == "shared"
    voyage.config["force_redownload"] = True
    voyage.server.reset_stats()
    command = [sys.executable, "-m", "argosy", "download", str(voyage.file)]
    first, second = (
        subprocess.Popen([*command, "--directory", name], cwd=voyage.root, stderr=subprocess.PIPE, text=True)
        for name in ("library", "second")
    )
    while voyage.server.stats().accepted < 40:
        assert first.poll() is None
    voyage.server.change(lease_mode="strict")
    ends = [(*process.communicate(timeout=110), process.returncode) for process in (first, second)]
    assert [code for _, _, code in ends] == [0, 0], ends
    stats = voyage.server.stats()
    assert record(voyage).learned["proved"]
    assert record(voyage).status is Status.IDLE
    assert stats.replaced_tokens_sent <= 2 * 7, "what was under way in both, and perhaps sent once more"
    assert stats.logins <= 1
    bodies = stats.bodies_completed.values()
    assert (len(bodies), min(bodies)) == (120, 2), "each file for each process"
    assert sum(bodies) <= 240 + stats.refused, "a refusal may be checked with a URL that was accepted"


# -- the commands


def test_the_status_says_what_was_learned_and_a_login_forgets_it_where_told(set_sail: SetSail) -> None:
    voyage = set_sail(items=10, lease_mode="static", max_workers=4, size=1000)
    config = str(voyage.file)
    argosy.download(voyage.file)
    learning = f"lease      exclusive (learning: 10 of {QUIET} responses in a row replaced no token)"
    assert learning in run("status", config, cwd=voyage.root)
    for _ in range(2):
        again(voyage)
    shared = f"lease      shared (learned: {QUIET} responses in a row replaced no token)"
    assert shared in run("status", config, cwd=voyage.root)
    run("login", config, cwd=voyage.root)
    assert shared in run("status", config, cwd=voyage.root)
    voyage.server.change(lease_mode="strict")
    again(voyage)
    replacing = "lease      exclusive (learned: the service replaces tokens)"
    assert replacing in run("status", config, cwd=voyage.root)
    run("login", config, cwd=voyage.root)
    assert replacing in run("status", config, cwd=voyage.root)
    run("login", config, "--forget", cwd=voyage.root)
    assert "lease      exclusive (nothing learned yet)" in run("status", config, cwd=voyage.root)


def test_without_a_session_the_report_says_so(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="open", max_workers=2, auth="none", cookie_store="memory")
    report = argosy.download(voyage.file)
    assert (report.lease_asked, report.lease_used, report.lease_reason) == (
        "auto",
        "shared",
        "no one is logged in",
    )
