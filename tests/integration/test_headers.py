"""Header fields, User-Agent and Referer that services want, in logins and downloads, over real HTTP."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

import argosy
import warm
from argosy.errors import ConfigError, SessionLost
from argosy.http.session import Network, open_session
from argosy.toolkit.secrets import Secret
from servers.counts import Counts
from servers.flask_library import make_app
from servers.in_thread import InThread
from servers.rules import PASSWORD, USER, Rules, book

BOOKS = 5
SECRET = "s3cr3t-key-of-the-library"
TRANSPORTS = pytest.mark.parametrize("transport", ["requests", "curl"])
STRATEGIES = pytest.mark.parametrize("strategy", ["threads", "multiprocess"])


class Asked(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]


class Library:
    """A service, what it was asked, and a folder for downloads."""

    def __init__(self, root: Path, app: Any, stack: ExitStack) -> None:
        self.root, self.asked = root, []
        self._app = app
        self.url = f"http://127.0.0.1:{stack.enter_context(InThread(self._answer)).port}"

    asked: list[Asked]

    def _answer(self, environ: Any, start_response: Any) -> Any:
        fields = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
        self.asked.append(Asked(environ["PATH_INFO"], fields))
        return self._app(environ, start_response)

    def sent(self, name: str) -> set[str | None]:
        """Return the values of a field over all requests, in the form HTTP_X_NAME without HTTP_."""
        return {asked.headers.get(name) for asked in self.asked}

    def config(self, entry: dict[str, Any] | None = None, **options: Any) -> Path:
        """Write a manifest, a password and a configuration; return its path."""
        lines = [
            {"id": f"b{n}", "resources": [{"url": f"{self.url}/books/{n}.bin", "path": f"{n}.bin", **(entry or {})}]}
            for n in range(BOOKS)
        ]
        (self.root / "books.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        (self.root / "password").write_text(PASSWORD, "utf-8")
        fields = {"user": USER, "password": {"file": "password"}}
        config = {
            "source": {"use": "manifest", "path": "books.jsonl"},
            "auth": {"use": "form-login", "url": f"{self.url}/login", "fields": fields},
            "cookie_store": {"use": "json-file", "path": "cookies.json"},
            "directory": "library",
            "max_workers": 2,
            **options,
        }
        file = self.root / "argosy.json"
        file.write_text(json.dumps(config), "utf-8")
        return file

    def has_all(self) -> bool:
        """Return whether all books have arrived."""
        paths = {n: self.root / "library" / f"b{n}" / f"{n}.bin" for n in range(BOOKS)}
        return all(path.exists() and path.read_bytes() == book(n) for n, path in paths.items())


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Callable[..., Library]]:
    """Start a library of Flask and Flask-Login; options are those of `Rules`."""
    with ExitStack() as stack:

        def start(**rules: Any) -> Library:
            app, _ = make_app(Rules(**rules), Counts(), tmp_path)
            return Library(tmp_path, app, stack)

        yield start


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Callable[..., Library]]:
    """Start a server that gives books to anyone; it redirects from a path to the URL in `hops`."""
    with ExitStack() as stack:

        def start(hops: dict[str, str] | None = None) -> Library:
            def app(environ: Any, start_response: Any) -> Any:
                path = environ["PATH_INFO"]
                if hops and path in hops:
                    start_response("302 Found", [("Location", hops[path]), ("Content-Length", "0")])
                    return []
                body = book(int(path[7:-4])) if path.startswith("/books/") else b"else"
                start_response("200 OK", [("Content-Length", str(len(body)))])
                return [body]

            return Library(tmp_path, app, stack)

        yield start


@pytest.mark.torture(162)
@TRANSPORTS
@STRATEGIES
def test_a_session_keeps_the_user_agent_of_its_login(
    library: Callable[..., Library], transport: str, strategy: str
) -> None:
    """Flask-Login ends a session whose User-Agent changes, as in calibre-web."""
    service = library()
    options: Any = {"transport": transport, "strategy": strategy}
    first = argosy.download(service.config(user_agent="Reader/1.0 (X11)", **options))
    assert (first.counts.done, first.logins, service.has_all()) == (BOOKS, 1, True)
    again = argosy.download(service.config(user_agent="Reader/2.0", force_redownload=True, **options))
    assert (again.counts.done, again.logins, again.refusals) == (BOOKS, 0, 0)
    assert service.sent("USER_AGENT") == {"Reader/1.0 (X11)"}
    (notice,) = [text for text in again.notices if "User-Agent" in text]
    assert "'default' keeps the User-Agent of its login: 'Reader/1.0 (X11)'" in notice
    service.asked.clear()
    argosy.login(service.config(user_agent="Reader/2.0", **options))
    third = argosy.download(service.config(user_agent="Reader/2.0", force_redownload=True, **options))
    assert (third.counts.done, third.logins, third.refusals) == (BOOKS, 0, 0)
    assert service.sent("USER_AGENT") == {"Reader/2.0"}
    assert not [text for text in third.notices if "User-Agent" in text]


def test_a_logout_has_the_user_agent_of_the_session(library: Callable[..., Library]) -> None:
    service = library()
    argosy.login(service.config(user_agent="Reader/1.0"))
    file = service.config(user_agent="Reader/2.0")
    config = json.loads(file.read_text("utf-8"))
    config["auth"]["logout"] = f"{service.url}/logout"
    file.write_text(json.dumps(config), "utf-8")
    assert argosy.logout(file) == {"default": True}
    assert service.sent("USER_AGENT") == {"Reader/1.0"}


def test_the_archive_has_the_user_agent_that_was_sent(library: Callable[..., Library]) -> None:
    service = library()
    argosy.login(service.config(user_agent="Reader/1.0"))
    file = service.config(user_agent="Reader/2.0", referer="self", output="warc")
    assert argosy.download(file).counts.done == BOOKS
    archives = [gzip.decompress(path.read_bytes()) for path in (service.root / "library").rglob("*.warc.gz")]
    assert len(archives) == BOOKS
    assert all(b"User-Agent: Reader/1.0\r\n" in text and b"Reader/2.0" not in text for text in archives)
    assert all(f"Referer: {service.url}/\r\n".encode() in text for text in archives)


@TRANSPORTS
@STRATEGIES
def test_a_service_gets_the_referer_of_its_own_host(
    library: Callable[..., Library], transport: str, strategy: str
) -> None:
    service = library(referer=True)
    report = argosy.download(service.config(referer="self", transport=transport, strategy=strategy))
    assert (report.counts.done, report.logins, report.refusals) == (BOOKS, 1, 0)
    assert service.has_all()
    # the form names its own page
    assert service.sent("REFERER") == {f"{service.url}/", f"{service.url}/login"}


def test_without_its_referer_the_service_refuses(library: Callable[..., Library]) -> None:
    service = library(referer=True)
    with pytest.raises(SessionLost):
        argosy.download(service.config(max_logins=2))
    assert not service.has_all()


def test_a_resource_has_its_own_referer_and_headers(library: Callable[..., Library]) -> None:
    """Also the request that tries whether the session is good has them, or each refusal would cost a login."""
    service = library(referer=True)
    lines = {"headers": {"X-Shelf": "7"}, "referer": f"{service.url}/shelf?n=7"}
    file = service.config(lines, referer="https://elsewhere.example/", max_workers=1)
    with (service.root / "books.jsonl").open("a", encoding="utf-8") as manifest:
        for number in (7, 8):
            line = {"id": f"x{number}", "resources": [{"url": f"{service.url}/books/{number}.bin", "path": "x.bin"}]}
            manifest.write(f"\n{json.dumps(line)}")
    report = argosy.download(file)
    assert (report.counts.done, report.counts.failed) == (BOOKS, 2)
    assert report.logins == 2
    assert service.has_all()
    books = [asked.headers for asked in service.asked if asked.path in [f"/books/{n}.bin" for n in range(BOOKS)]]
    assert {(fields.get("REFERER"), fields.get("X_SHELF")) for fields in books} == {(f"{service.url}/shelf?n=7", "7")}
    # header fields are no reason to download a file again
    assert argosy.download(service.config({"referer": "self"})).counts.skipped == BOOKS


@TRANSPORTS
@STRATEGIES
def test_a_secret_header_goes_with_every_request_and_nowhere_else(
    library: Callable[..., Library], monkeypatch: pytest.MonkeyPatch, transport: str, strategy: str
) -> None:
    monkeypatch.setenv("LIBRARY_KEY", SECRET)
    service = library()
    headers = {"X-Api-Key": {"env": "LIBRARY_KEY"}, "x-requested-with": "XMLHttpRequest", "Accept": "application/pdf"}
    options: Any = {"headers": headers, "header_origins": [f"{service.url}/"], "output": ["files", "warc", "index"]}
    file = service.config(transport=transport, strategy=strategy, **options)
    given = ["--report", str(service.root / "r.json"), "--events", str(service.root / "e.jsonl")]
    done = warm.run("download", str(file), "-vv", "--log-file", str(service.root / "run.log"), *given)
    assert done.returncode == 0, done.stderr
    assert service.has_all()
    assert len(service.asked) >= BOOKS + 2, "the login, too"
    assert service.sent("X_API_KEY") == {SECRET}
    assert service.sent("X_REQUESTED_WITH") == {"XMLHttpRequest"}
    assert service.sent("ACCEPT") == {"application/pdf"}
    assert SECRET not in done.stdout + done.stderr
    found = [path for path in service.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not found


@pytest.mark.torture(160)
def test_a_secret_header_stays_at_its_origins(
    plain: Callable[..., Library], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIBRARY_KEY", SECRET)
    hops: dict[str, str] = {}
    other, service = plain(hops), plain(hops)
    hops |= {"/away": f"{other.url}/back", "/back": f"{service.url}/books/1.bin"}
    config = {
        "source": {"use": "urls", "urls": [f"{service.url}/away", f"{other.url}/books/2.bin"]},
        "headers": {"X-Api-Key": {"env": "LIBRARY_KEY"}},
        "header_origins": [service.url],
        "directory": str(tmp_path / "library"),
    }
    assert argosy.download(config).counts.done == 2
    assert [asked.path for asked in service.asked] == ["/away", "/books/1.bin"]
    assert service.sent("X_API_KEY") == {SECRET}, "also after a redirect away and back"
    assert len(other.asked) == 2
    assert other.sent("X_API_KEY") == {None}


@pytest.mark.torture(160)
def test_a_redirect_elsewhere_drops_other_headers_and_keeps_the_user_agent(
    plain: Callable[..., Library], tmp_path: Path
) -> None:
    hops: dict[str, str] = {}
    other, service = plain(), plain(hops)
    hops["/away"] = f"{other.url}/books/1.bin"
    config = {
        "source": {"use": "urls", "urls": [f"{service.url}/away"]},
        "headers": {"X-Shelf": "7"},
        "user_agent": "Reader/1.0",
        "referer": "self",
        "directory": str(tmp_path / "library"),
    }
    assert argosy.download(config).counts.done == 1
    assert [asked.headers.get("X_SHELF") for asked in service.asked + other.asked] == ["7", None]
    assert [asked.headers["USER_AGENT"] for asked in service.asked + other.asked] == ["Reader/1.0"] * 2
    assert [asked.headers["REFERER"] for asked in service.asked + other.asked] == [f"{service.url}/", f"{other.url}/"]


@pytest.mark.torture(160)
def test_a_login_that_follows_redirects_itself_drops_them_too(plain: Callable[..., Library]) -> None:
    hops: dict[str, str] = {}
    other, service = plain(), plain(hops)
    hops["/away"] = f"{other.url}/books/1.bin"
    with open_session((20, 20), network=Network(headers={"X-Shelf": Secret("7")})).http as http:
        away = http.get(f"{service.url}/away", allow_redirects=False)
        for _ in range(2):
            assert http.get(away.headers["Location"], allow_redirects=False).ok
    assert [asked.headers.get("X_SHELF") for asked in service.asked + other.asked] == ["7", None, None]


def test_a_program_gets_the_headers_too(library: Callable[..., Library]) -> None:
    service = library()
    file = service.config(user_agent="Reader/1.0", headers={"X-Shelf": "7", "Accept": "text/plain"}, referer="self")
    with argosy.open_session(file) as http:
        assert http.get(f"{service.url}/books/1.bin").content == book(1)
        assert http.get(f"{service.url}/books/2.bin", headers={"x-shelf": "8", "Accept": "text/html"}).ok
        prepared = http.prepare_request(requests.Request("GET", f"{service.url}/books/3.bin"))
        assert http.send(prepared).content == book(3)
    last = [asked.headers for asked in service.asked if asked.path.startswith("/books/")]
    assert [fields["X_SHELF"] for fields in last] == ["7", "8", "7"]
    assert [fields["ACCEPT"] for fields in last] == ["text/plain", "text/html", "text/plain"]
    assert service.sent("USER_AGENT") == {"Reader/1.0"}
    assert {fields["REFERER"] for fields in last} == {f"{service.url}/"}


@pytest.mark.torture(161)
@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"cookie": "a=b"}, "'cookie' is not one to set"),
        ({"Authorization": "Bearer x"}, "'Authorization' is not one to set"),
        ({"Range": "bytes=1-"}, "'Range' is not one to set"),
        ({"User-Agent": "x"}, '"user_agent" and "referer"'),
        ({"X Y": "x"}, "'X Y' is not the name of a header field"),
        ({"X-A": "a\nb"}, "the value of the header field 'X-A' is empty, or has characters"),
        ({"X-A": "\u20ac"}, "the value of the header field 'X-A' is empty, or has characters"),
        ({"X-A": {"file": "broken.txt"}}, "the value of the header field 'X-A' is empty, or has characters"),
        ({"X-A": {"env": "NO_SUCH_KEY"}}, "NO_SUCH_KEY"),
    ],
)
def test_fields_that_cannot_be_sent_are_refused(
    library: Callable[..., Library], headers: dict[str, Any], words: str
) -> None:
    service = library()
    (service.root / "broken.txt").write_text("hush\nhush", "utf-8")
    file = service.config(headers=headers, header_origins=["https://library.example"])
    with pytest.raises(ConfigError) as caught:
        argosy.download(file)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)
    checked = warm.run("config", "check", str(file))
    assert checked.returncode == 2
    assert words in checked.stderr
    assert not service.asked
