"""Services made with Flask that replace a header token, or a CSRF token, with every response."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy_devkit.contracts.waiting import wait_until
from servers.flask_tokens import UID
from servers.rules import PASSWORD, USER, book
from servers.service import Service, Tally, start

pytestmark = pytest.mark.slow

ITEMS = 60
SECRET = {"file": "password"}


def tokens(service: Service) -> dict[str, Any]:
    return {
        "use": "json-login",
        "url": f"{service.url}/auth/sign_in",
        "json": {"email": UID, "password": SECRET},
        "tokens": {"headers": ["access-token", "client", "uid", "expiry"]},
    }


def csrf(send: dict[str, Any]) -> Any:
    def auth(service: Service) -> dict[str, Any]:
        login = {"url": f"{service.url}/api/login", "json": {"user": USER, "password": SECRET}}
        return {"use": "json-login", **login, "csrf": {**send, "each": True}}

    return auth


def csrf_of_a_form(send: dict[str, Any]) -> Any:
    def auth(service: Service) -> dict[str, Any]:
        login = {"url": f"{service.url}/login", "fields": {"user": USER, "password": SECRET}}
        return {"use": "form-login", **login, "csrf": send}

    return auth


FIELD = {"header": "X-CSRF-Token"}
COOKIE = {"cookie": "XSRF-TOKEN", "send": "X-XSRF-TOKEN"}
SERVICES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "header tokens": ("flask_tokens", {}, tokens),
    "header tokens in batches": ("flask_tokens", {"batch": 3}, tokens),
    "CSRF in a field": ("flask_csrf", {}, csrf(FIELD)),
    "CSRF in a cookie": ("flask_csrf", {"cookie": True}, csrf(COOKIE)),
    "CSRF in a field, form": ("flask_csrf", {}, csrf_of_a_form(FIELD)),
    "CSRF in a cookie, form": ("flask_csrf", {"cookie": True}, csrf_of_a_form(COOKIE)),
}
SPREADS: dict[str, dict[str, Any]] = {
    "8 threads": {"strategy": "threads", "max_workers": 8},
    "4 processes": {"strategy": {"use": "multiprocess", "processes": 4}, "max_workers": 4},
}
Named = tuple[Service, dict[str, Any]]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Iterator[Named]:
    module, rules, auth = SERVICES[request.param]
    with start(module, **rules) as service:
        yield service, auth(service)


def configuration(root: Path, named: Named, **options: Any) -> Path:
    (root / "password").write_text(PASSWORD, "utf-8")
    named[0].manifest(root / "books.jsonl", ITEMS)
    config = {
        "source": {"use": "manifest", "path": "books.jsonl"},
        "auth": named[1],
        "cookie_store": {"use": "json-file", "path": "session.json"},
        "directory": "library",
        **options,
    }
    file = root / "argosy.json"
    file.write_text(json.dumps(config), "utf-8")
    return file


def wrong(root: Path) -> list[int]:
    paths = {number: root / "library" / f"b{number}" / f"{number}.bin" for number in range(ITEMS)}
    return [n for n, path in paths.items() if not path.exists() or path.read_bytes() != book(n)]


def terminal(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "argosy", "download", str(file), "--quiet"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


ALL_RIGHT = Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


@pytest.mark.torture(133)
@pytest.mark.parametrize("spread", SPREADS)
def test_one_login_and_no_replaced_token(service: Named, tmp_path: Path, spread: str) -> None:
    report = argosy.download(configuration(tmp_path, service, **SPREADS[spread]))
    assert (report.counts.done, report.logins, report.refusals, wrong(tmp_path)) == (ITEMS, 1, 0, [])
    assert service[0].tally() == ALL_RIGHT
    assert report.lease_used == "exclusive"


@pytest.mark.torture(133)
def test_two_terminals(service: Named, tmp_path: Path) -> None:
    file = configuration(tmp_path, service, **SPREADS["8 threads"])
    for running in [terminal(file) for _ in range(2)]:
        out, err = running.communicate(timeout=100)
        assert running.returncode == 0, out + err
    assert wrong(tmp_path) == []
    assert service[0].tally() == ALL_RIGHT


@pytest.mark.torture(133)
def test_a_kill_costs_one_login_at_most(service: Named, tmp_path: Path) -> None:
    file = configuration(tmp_path, service, **SPREADS["8 threads"])
    killed = terminal(file)
    wait_until(lambda: service[0].counts().get("accepted", 0) >= 10, "some files")
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    argosy.download(file)
    assert wrong(tmp_path) == []
    tally = service[0].tally()
    assert (tally.replaced_tokens_sent, tally.refused) == (0, 0)
    assert tally.logins <= 2


def test_the_next_run_goes_on_with_the_newest_token(service: Named, tmp_path: Path) -> None:
    file = configuration(tmp_path, service, **SPREADS["8 threads"])
    argosy.download(file)
    report = argosy.download(configuration(tmp_path, service, **SPREADS["8 threads"], force_redownload=True))
    assert (report.counts.done, report.logins) == (ITEMS, 0)
    assert service[0].tally() == ALL_RIGHT._replace(accepted=2 * ITEMS)
