"""Logins at services made with Flask and Django, whose session is replaced with every response."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import argosy
from servers.rules import PASSWORD, USER, book
from servers.service import Service, Tally, start

ITEMS = 50
# the login page, and what its field for the user is called
PAGES = {"flask_library": ("/login", "user"), "django_library": ("/accounts/login/", "username")}
FOUR = {"use": "multiprocess", "processes": 4}


@pytest.fixture(params=PAGES)
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, Service]]:
    with start(request.param) as service:
        yield request.param, service


def configuration(root: Path, name: str, service: Service, **options: Any) -> Path:
    """Write a manifest of all the books and a configuration for it."""
    service.manifest(root / "books.jsonl", ITEMS)
    (root / "password").write_text(PASSWORD, "utf-8")
    page, user = PAGES[name]
    fields = {user: USER, "password": {"file": "password"}}
    config = {
        "source": {"use": "manifest", "path": "books.jsonl"},
        "auth": {"use": "form-login", "url": service.url + page, "fields": fields},
        "cookie_store": {"use": "json-file", "path": "cookies.json"},
        "directory": "library",
        "max_workers": 8,
        **options,
    }
    file = root / "argosy.json"
    file.write_text(json.dumps(config), "utf-8")
    return file


def missing(root: Path) -> list[int]:
    """Return which of the books are not there as they must be."""
    paths = {number: root / "library" / f"b{number}" / f"{number}.bin" for number in range(ITEMS)}
    return [n for n, path in paths.items() if not path.exists() or path.read_bytes() != book(n)]


def in_a_terminal(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "argosy", "download", str(file)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("strategy", ["threads", FOUR], ids=["8 threads", "4 processes"])
def test_50_items_on_one_login(service: tuple[str, Service], tmp_path: Path, strategy: Any) -> None:
    name, library = service
    workers = 8 if strategy == "threads" else 4
    report = argosy.download(configuration(tmp_path, name, library, strategy=strategy, max_workers=workers))
    assert (report.counts.done, report.logins, missing(tmp_path)) == (ITEMS, 1, [])
    assert library.tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


def test_two_terminals_on_one_login(service: tuple[str, Service], tmp_path: Path) -> None:
    name, library = service
    file = configuration(tmp_path, name, library, max_workers=4)
    terminals = [in_a_terminal(file) for _ in range(2)]
    for terminal in terminals:
        out, err = terminal.communicate(timeout=100)
        assert terminal.returncode == 0, out + err
    assert missing(tmp_path) == []
    assert library.tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


def test_a_session_that_the_service_ends_costs_one_login(
    service: tuple[str, Service], tmp_path: Path
) -> None:
    name, library = service
    ended: list[str] = []

    def on_event(event: argosy.Event) -> None:
        if event.kind == "item.finished" and not ended:
            ended.append(event.item or "")
            library.expire()

    report = argosy.download(configuration(tmp_path, name, library), on_event)
    counts = library.tally()
    assert (report.counts.done, missing(tmp_path)) == (ITEMS, [])
    assert (counts.logins, report.logins, counts.replaced_tokens_sent) == (2, 2, 0)
    assert counts.refused >= 1


def test_the_services_notice_a_replaced_token(service: tuple[str, Service], tmp_path: Path) -> None:
    """Without a lease the same downloads fail: the services would see it."""
    name, library = service
    page, user = PAGES[name]
    http = requests.Session()
    http.trust_env = False
    from argosy.html_forms import parse_page

    form = parse_page(http.get(library.url + page, timeout=30).text)
    fields = dict(next(form.fields for form in form.forms if form.passwords))
    answer = http.post(library.url + page, {**fields, user: USER, "password": PASSWORD}, timeout=30)
    assert (answer.ok, library.tally().logins) == (True, 1)
    cookies = dict(http.cookies)

    def get(number: int) -> int:
        url = f"{library.url}/books/{number}.bin"
        with requests.get(url, cookies=cookies, timeout=30, allow_redirects=False) as response:
            return response.status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(get, range(8)))
    assert statuses == [200] + [302] * 7
    assert library.tally() == Tally(accepted=1, logins=1, refused=7, replaced_tokens_sent=7)
