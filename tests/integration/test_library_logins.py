"""Sessions of services made with Flask and Django, which are replaced with every response."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

import argosy
from argosy.errors import LoginFailed
from argosy.toolkit.forms import parse_page
from servers.rules import PASSWORD, USER, book
from servers.service import Service, Tally, start

pytestmark = pytest.mark.slow

ITEMS = 50
# the login page, and what its field for the user is called
PAGES = {"flask_library": ("/login", "user"), "django_library": ("/accounts/login/", "username")}
FOUR = {"use": "multiprocess", "processes": 4}

Named = tuple[str, Service]


@pytest.fixture(params=PAGES)
def service(request: pytest.FixtureRequest) -> Iterator[Named]:
    with start(request.param) as service:
        yield request.param, service


def form_login(root: Path, named: Named) -> dict[str, Any]:
    """Return the options that log in by the form."""
    name, service = named
    page, user = PAGES[name]
    (root / "password").write_text(PASSWORD, "utf-8")
    fields = {user: USER, "password": {"file": "password"}}
    return {"use": "form-login", "url": service.url + page, "fields": fields}


def browse(named: Named) -> list[dict[str, Any]]:
    """Log in as a browser does; return its cookies as an extension exports them."""
    name, service = named
    page, user = PAGES[name]
    with requests.Session() as http:
        http.trust_env = False
        shown = parse_page(http.get(service.url + page, timeout=30).text)
        fields = dict(next(form.fields for form in shown.forms if form.passwords))
        answer = http.post(service.url + page, {**fields, user: USER, "password": PASSWORD}, timeout=30)
        assert answer.ok
        host = urlsplit(service.url).hostname
        return [{"name": c.name, "value": c.value, "domain": host, "path": "/"} for c in http.cookies]


def netscape(cookies: list[dict[str, Any]]) -> str:
    lines = [f"{c['domain']}\tFALSE\t{c['path']}\tFALSE\t0\t{c['name']}\t{c['value']}" for c in cookies]
    return "\n".join(["# Netscape HTTP Cookie File", *lines])


def dictionary(cookies: list[dict[str, Any]]) -> str:
    return json.dumps({cookie["name"]: cookie["value"] for cookie in cookies})


def storage_state(cookies: list[dict[str, Any]]) -> str:
    return json.dumps({"cookies": [{**c, "expires": -1, "sameSite": "Lax"} for c in cookies], "origins": []})


EXPORTS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "netscape": netscape,
    "extension": json.dumps,
    "dictionary": dictionary,
    "storage state": storage_state,
}


def imported(root: Path, named: Named, export: str = "netscape") -> dict[str, Any]:
    """Return the options that import the cookies of a browser."""
    (root / "jar").write_text(EXPORTS[export](browse(named)), "utf-8")
    (root / "jar").chmod(0o600)
    return {"use": "cookies", "path": "jar", "url": named[1].url}


AUTHS = {"form-login": form_login, "cookies": imported}


def configuration(root: Path, service: Service, auth: dict[str, Any], items: int = ITEMS, **options: Any) -> Path:
    """Write a manifest of the books and a configuration for it."""
    service.manifest(root / "books.jsonl", items)
    config = {
        "source": {"use": "manifest", "path": "books.jsonl"},
        "auth": auth,
        "cookie_store": {"use": "json-file", "path": "cookies.json"},
        "directory": "library",
        "max_workers": 8,
        **options,
    }
    file = root / "argosy.json"
    file.write_text(json.dumps(config), "utf-8")
    return file


def missing(root: Path, items: int = ITEMS) -> list[int]:
    """Return which of the books are not there as they must be."""
    paths = {number: root / "library" / f"b{number}" / f"{number}.bin" for number in range(items)}
    return [n for n, path in paths.items() if not path.exists() or path.read_bytes() != book(n)]


def in_a_terminal(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "argosy", "download", str(file)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("strategy", ["threads", FOUR], ids=["8 threads", "4 processes"])
def test_50_items_on_one_login(service: Named, tmp_path: Path, auth: str, strategy: Any) -> None:
    workers = 8 if strategy == "threads" else 4
    options = AUTHS[auth](tmp_path, service)
    file = configuration(tmp_path, service[1], options, strategy=strategy, max_workers=workers)
    report = argosy.download(file)
    assert (report.counts.done, report.logins, missing(tmp_path)) == (ITEMS, 1, [])
    assert service[1].tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


@pytest.mark.parametrize("auth", AUTHS)
def test_two_terminals_on_one_login(service: Named, tmp_path: Path, auth: str) -> None:
    file = configuration(tmp_path, service[1], AUTHS[auth](tmp_path, service), max_workers=4)
    terminals = [in_a_terminal(file) for _ in range(2)]
    for terminal in terminals:
        out, err = terminal.communicate(timeout=100)
        assert terminal.returncode == 0, out + err
    assert missing(tmp_path) == []
    assert service[1].tally() == Tally(accepted=ITEMS, logins=1, refused=0, replaced_tokens_sent=0)


LOGOUTS: dict[str, Any] = {
    "flask_library": {"url": "/logout"},
    "django_library": {"url": "/", "form": "logout"},  # by POST alone, with a token against forgery
}


def test_logging_out(service: Named, tmp_path: Path) -> None:
    name, library = service
    where = {**LOGOUTS[name], "url": library.url + LOGOUTS[name]["url"]}
    auth = form_login(tmp_path, service) | {"logout": where if "form" in where else where["url"]}
    file = configuration(tmp_path, library, auth, items=3)
    argosy.download(file)
    assert argosy.logout(file) == {"default": True}
    assert (library.counts()["logouts"], argosy.sessions(file), argosy.logout(file)) == (1, [], {})


@pytest.mark.parametrize(
    ("logout", "says"),
    [
        ({"url": "/", "form": "no-such-form"}, "has no form 'no-such-form'"),
        ({"url": "/", "form": 7}, "has no form 7"),
        ("/no-such-page", "did not log out .status 404"),
    ],
)
def test_a_logout_that_does_not_work_keeps_the_session(tmp_path: Path, logout: Any, says: str) -> None:
    with start("flask_library") as library:
        where = {**logout, "url": library.url + logout["url"]} if isinstance(logout, dict) else library.url + logout
        auth = form_login(tmp_path, ("flask_library", library)) | {"logout": where}
        file = configuration(tmp_path, library, auth, items=3)
        argosy.login(file)
        with pytest.raises(LoginFailed, match=says):
            argosy.logout(file)
        assert len(argosy.sessions(file)) == 1
        assert argosy.download(file).logins == 0


@pytest.mark.parametrize("export", EXPORTS)
def test_each_form_of_a_jar_is_a_session(tmp_path: Path, export: str) -> None:
    with start("flask_library") as library:
        options = imported(tmp_path, ("flask_library", library), export)
        report = argosy.download(configuration(tmp_path, library, options, items=5))
        assert (report.counts.done, missing(tmp_path, 5)) == (5, [])
        assert library.tally() == Tally(accepted=5, logins=1, refused=0, replaced_tokens_sent=0)


def test_a_session_that_the_service_ends_costs_one_login(service: Named, tmp_path: Path) -> None:
    library = service[1]
    ended: list[str | None] = []

    def on_event(event: argosy.Event) -> None:
        if event.kind == "resource.finished" and not ended:
            ended.append(event.item)
            library.expire()

    report = argosy.download(configuration(tmp_path, library, form_login(tmp_path, service)), on_event)
    counts = library.tally()
    assert (report.counts.done, missing(tmp_path)) == (ITEMS, [])
    assert (counts.logins, report.logins, counts.replaced_tokens_sent) == (2, 2, 0)
    assert counts.refused >= 1


def test_an_imported_session_that_ends_is_imported_again(tmp_path: Path) -> None:
    """As the message says it."""
    with start("flask_library") as library:
        named = "flask_library", library
        file = configuration(tmp_path, library, imported(tmp_path, named), items=5, force_redownload=True)
        assert argosy.download(file).counts.done == 5
        library.expire()
        with pytest.raises(argosy.ArgosyError, match=r"run: argosy login CONFIG") as caught:
            argosy.download(file)
        assert caught.value.exit_code == 3
        imported(tmp_path, named)
        argosy.login(file)
        assert argosy.download(file).counts.done == 5
        assert library.tally().replaced_tokens_sent == 0


@pytest.mark.parametrize("strategy", ["threads", FOUR], ids=["threads", "processes"])
def test_a_jar_of_another_site_says_whose_it_is(tmp_path: Path, strategy: Any) -> None:
    """Even where the service gives everybody cookies, for its login page."""
    with start("flask_library") as library:
        (tmp_path / "jar").write_text("other.example\tFALSE\t/\tFALSE\t0\tsid\t1\n")
        auth = {"use": "cookies", "path": "jar"}
        report = argosy.download(configuration(tmp_path, library, auth, items=8, strategy=strategy, max_workers=4))
    assert report.counts.failed == 8
    told = f"has no cookie for {library.url}: its cookies are for other.example."
    assert all(told in failure.message for failure in report.failures)


def test_the_services_notice_a_replaced_token(service: Named) -> None:
    """Without a lease the same downloads fail: the services would see it."""
    library = service[1]
    cookies = {cookie["name"]: cookie["value"] for cookie in browse(service)}

    def get(number: int) -> int:
        url = f"{library.url}/books/{number}.bin"
        with requests.get(url, cookies=cookies, timeout=30, allow_redirects=False) as response:
            return response.status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(get, range(8)))
    assert statuses == [200] + [302] * 7
    assert library.tally() == Tally(accepted=1, logins=1, refused=7, replaced_tokens_sent=7)
