"""Files that are responses to a POST, over real HTTP: what is sent, and that it is sent once."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy.events import EventKind
from argosy.models.items import Failure
from argosy.state.ledger import Ledger
from argosy_devkit import Fault
from voyage import Voyage

SetSail = Callable[..., Voyage]
TRANSPORTS = pytest.mark.parametrize("transport", ["requests", "curl"])


def listed(voyage: Voyage, *entries: dict[str, Any]) -> None:
    """Replace the manifest by entries whose `to` is a path of the server; the n-th file is ``n.txt``."""
    lines = [
        {"url": voyage.server.url_for(entry.pop("to", "/echo")), "path": f"{n}.txt", **entry}
        for n, entry in enumerate(entries)
    ]
    (voyage.root / "books.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")


def failures(directory: Path) -> list[Failure]:
    with closing(Ledger(directory, read_only=True)) as ledger:
        return [row.failure for row in ledger.all_rows() if row.failure is not None]


@TRANSPORTS
@pytest.mark.parametrize("strategy", ["threads", "multiprocess"])
def test_bodies_of_one_url_are_files_of_their_own(set_sail: SetSail, transport: str, strategy: str) -> None:
    voyage = set_sail(items=1, lease_mode="revoke", max_workers=4, transport=transport, strategy=strategy)
    posts: list[dict[str, Any]] = [
        {"json": {"page": n, "title": "Zürich"}} if n % 2 else {"form": {"page": str(n), "to": "é&="}}
        for n in range(10)
    ]
    listed(voyage, *posts, {"method": "POST"}, {"body": "<all/>", "content_type": "application/xml"})
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, stats.requests_by_path["/echo"]) == (12, 12)
    assert (stats.replaced_tokens_sent, stats.refused, stats.sessions_revoked) == (0, 0, 0)
    got = {int(path.stem): path.read_text("utf-8") for path in voyage.library.glob("*.txt")}
    assert [got[10], got[11]] == ["", "<all/>"]
    assert json.loads(got[7]) == {"page": 7, "title": "Zürich"}
    assert got[4] == "page=4&to=%C3%A9%26%3D"
    # nothing to do, until a body changes
    assert argosy.download(voyage.file).ok
    assert voyage.server.stats().requests_by_path["/echo"] == 12
    listed(voyage, *({"id": "x", "path": "x.txt", **post} for post in posts[1:2]))
    argosy.download(voyage.file)
    listed(voyage, *({"id": "x", "path": "x.txt", **post} for post in posts[3:4]))
    argosy.download(voyage.file)
    assert json.loads((voyage.library / "x.txt").read_text("utf-8")) == posts[3]["json"]
    assert voyage.server.stats().requests_by_path["/echo"] == 14


@TRANSPORTS
@pytest.mark.parametrize("fault", ["lost", "reset", "cut", "status"])
def test_a_post_whose_fate_is_unknown_is_not_sent_again(set_sail: SetSail, transport: str, fault: str) -> None:
    once, repeated = (
        Fault(fault, path=path, times=n, status=500) for path, n in (("/echo?once", 9), ("/echo?again", 2))
    )
    faults = [once, repeated]
    voyage = set_sail(items=1, lease_mode="revoke", faults=faults, transport=transport, max_retries=3, retry_delay=0.01)
    body = "x" * 50_000
    again = {"to": "/echo?again", "body": body, "repeatable": True}
    listed(voyage, {"to": "/echo?once", "body": body}, again)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.counts.failed, stats.replaced_tokens_sent) == (1, 1, 0)
    assert stats.requests_by_path["/echo"] == 1 + 3
    (failure,) = failures(voyage.library)
    assert 'repeated by itself only if it is "repeatable"' in failure.message
    voyage.server.change(faults=[])
    assert argosy.download(voyage.file).ok  # a new run sends it
    assert (voyage.library / "0.txt").read_text() == body


@TRANSPORTS
def test_a_post_that_a_server_has_not_begun_with_is_sent_again(set_sail: SetSail, transport: str) -> None:
    faults = [Fault("status", path="/echo", status=429, retry_after=0, times=2)]
    faults.append(Fault("status", path="/echo", status=503, times=2))
    voyage = set_sail(items=1, lease_mode="revoke", faults=faults, transport=transport, max_retries=4, retry_delay=0.01)
    listed(voyage, {"json": [1]})
    assert argosy.download(voyage.file).counts.done == 1
    assert (voyage.library / "0.txt").read_text() == "[1]"


@TRANSPORTS
def test_a_post_that_is_refused_is_sent_again_after_a_login(set_sail: SetSail, transport: str) -> None:
    faults = [Fault("login_page", path="n=1", times=1)]
    voyage = set_sail(items=1, lease_mode="revoke", faults=faults, transport=transport, strategy="serial")
    listed(voyage, *({"to": f"/echo?n={n}", "json": n} for n in range(3)))
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.logins, stats.replaced_tokens_sent) == (3, 2, 0)
    assert (voyage.library / "1.txt").read_text() == "1"


def test_a_post_is_not_asked_for_the_rest(set_sail: SetSail) -> None:
    faults = [Fault("cut", path="/files/", fraction=0.7, times=1)]
    voyage = set_sail(items=1, faults=faults, retry_delay=0.01, headers=[("ETag", '"1"')])
    size = 3 << 20
    listed(voyage, {"to": f"/files/a?size={size}", "form": {}, "repeatable": True})
    report = argosy.download(voyage.file)
    assert report.counts.done == 1
    assert voyage.server.stats().bytes_sent > 1.5 * size  # it came anew


class _Handler(BaseHTTPRequestHandler):
    """Redirects ``/303``, ``/307`` and ``/away``; ``/done`` answers with what it got."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.seen.append((self.command, self.path, body, self.headers.get("Content-Type")))
        code = {"/303": 303, "/307": 307, "/away": 307, "/gone": 303}.get(self.path, 200)
        self.send_response(code)
        if code != 200:
            target = {"/away": server.other, "/gone": "http://127.0.0.1:9/"}.get(self.path, "/done")
            self.send_header("Location", target)
            body = b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()


@pytest.fixture
def servers() -> Iterator[list[Any]]:
    with ExitStack() as stack:
        made: list[Any] = []
        for _ in range(2):
            server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
            server.seen = []
            server.url = f"http://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            made.append(server)
        made[0].other = f"{made[1].url}/done"
        yield made


def download(folder: Path, entry: dict[str, Any], **options: Any) -> list[Failure]:
    """Download one file of a manifest; return why it failed, if it did."""
    (folder / "m.jsonl").write_text(json.dumps(entry), "utf-8")
    config = {"source": {"use": "manifest", "path": "m.jsonl"}, "directory": "got", "retry_delay": 0.01, **options}
    (folder / "c.json").write_text(json.dumps(config), "utf-8")
    argosy.download(folder / "c.json")
    return failures(folder / "got")


@TRANSPORTS
def test_redirects_of_a_post(servers: list[Any], tmp_path: Path, transport: str) -> None:
    first, other = servers
    entry = {"json": {"a": 1}, "id": "a", "path": "a.txt"}
    for path, method, body, kind in [("/303", "GET", b"", None), ("/307", "POST", b'{"a": 1}', "application/json")]:
        first.seen.clear()
        assert download(tmp_path, entry | {"url": first.url + path}, transport=transport) == []
        assert first.seen == [("POST", path, b'{"a": 1}', "application/json"), (method, "/done", body, kind)]
    first.seen.clear()
    (failure,) = download(tmp_path, entry | {"url": f"{first.url}/away"}, transport=transport)
    assert (failure.kind, len(first.seen), other.seen) == ("answer", 1, [])
    assert "a redirect would have sent the body of the request to another origin" in failure.message


@TRANSPORTS
def test_a_post_that_was_accepted_is_not_repeated_when_its_redirect_leads_nowhere(
    servers: list[Any], tmp_path: Path, transport: str
) -> None:
    (failure,) = download(tmp_path, {"url": f"{servers[0].url}/gone", "body": "", "path": "a"}, transport=transport)
    assert (failure.kind, len(servers[0].seen)) == ("refused", 1)


@TRANSPORTS
def test_a_post_that_reached_no_server_is_tried_again(tmp_path: Path, transport: str) -> None:
    events: list[argosy.Event] = []
    (tmp_path / "m.jsonl").write_text(json.dumps({"url": "http://127.0.0.1:9/x", "body": "", "path": "a"}), "utf-8")
    config = {"source": {"use": "manifest", "path": "m.jsonl"}, "directory": "got", "retry_delay": 0.01}
    (tmp_path / "c.json").write_text(json.dumps({**config, "max_retries": 2, "transport": transport}), "utf-8")
    argosy.download(tmp_path / "c.json", on_event=events.append)
    assert [event.kind for event in events].count(EventKind.RESOURCE_RETRY) == 2


def test_an_archive_has_the_post(servers: list[Any], tmp_path: Path) -> None:
    entry = {"url": f"{servers[0].url}/done", "json": {"a": 1}, "path": "a.txt", "id": "a"}
    assert download(tmp_path, entry, output="warc") == []
    (archive,) = (tmp_path / "got").rglob("*.warc.gz")
    text = gzip.decompress(archive.read_bytes()).decode("latin-1")
    assert "POST /done HTTP/1.1\r\n" in text
    assert "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n" + '{"a": 1}' in text


def test_the_failed_urls_leave_out_posts(servers: list[Any], tmp_path: Path) -> None:
    lines = [{"url": f"{servers[0].url}/away", "body": "x", "path": "a"}, {"url": "http://127.0.0.1:9/b", "path": "b"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    config = {"source": {"use": "manifest", "path": "m.jsonl"}, "directory": "got", "max_retries": 0}
    (tmp_path / "c.json").write_text(json.dumps(config), "utf-8")
    warm.run("download", "c.json", cwd=tmp_path)
    done = warm.run("status", "got", "--failed-urls", cwd=tmp_path)
    assert done.stdout == "http://127.0.0.1:9/b\n"
    assert "Left out: 1 item with a POST" in done.stderr
