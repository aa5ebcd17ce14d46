"""The torture table, section server: answers that are short, long, late, misplaced or no answers at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

import argosy
from argosy.config.load import load
from argosy.engine.run import Run, RunOptions
from argosy.plugins.manager import PluginManager
from hazards import failures, fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


def verifications(voyage: Voyage) -> set[str]:
    """Return how far the files of all items were checked, as a report file says."""
    voyage.run("--quiet", "--report", str(voyage.root / "report.json"))
    items = json.loads((voyage.root / "report.json").read_text("utf-8"))["items"]
    return {file["verification"] for item in items for file in item["files"]}


@pytest.mark.torture(1)
@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_cut_body_is_never_final(set_sail: SetSail, kind: str) -> None:
    faults = [fault(kind, fraction=0.4, first=2, each_path=True)]
    voyage = set_sail(items=6, lease_mode="revoke", faults=faults, digests=False, size=200_000)
    seen: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            seen.extend(voyage.damaged())

    report = argosy.download(voyage.file, on_event)
    assert seen == [], "a part of a body stood under a final name"
    assert (report.counts.done, report.retries, voyage.wrong()) == (6, 12, [])
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(1)
def test_a_body_that_is_always_cut_fails_its_item(set_sail: SetSail) -> None:
    faults = [fault("cut", path="item-00002")]
    voyage = set_sail(items=3, faults=faults, digests=False, max_retries=1)
    done = voyage.run()
    assert done.returncode == 1
    assert "item-00002" in done.stderr
    assert voyage.done() == {"item-00001", "item-00003"}
    assert not (voyage.library / "item-00002").exists()
    voyage.server.change(faults=())
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])


@pytest.mark.torture(2)
@pytest.mark.parametrize("digests", [True, False])
def test_truncated_gzip_is_detected(set_sail: SetSail, digests: bool) -> None:
    voyage = set_sail(items=2, faults=[fault("gzip_truncated", path="item-00001")], digests=digests, max_retries=1)
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.counts.failed, voyage.damaged()) == (1, 1, [])
    assert not (voyage.library / "item-00001").exists()


@pytest.mark.torture(3)
def test_no_length_at_all_is_said_to_be_unverified(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, faults=[fault("no_length")], digests=False)
    assert verifications(voyage) == {"unverified"}
    assert voyage.wrong() == []


@pytest.mark.torture(3)
def test_no_length_is_verified_by_its_digest(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, faults=[fault("no_length")])
    assert verifications(voyage) == {"verified"}
    assert voyage.wrong() == []


def sends(body: bytes, *, length: int, extra: bytes) -> Callable[[Any, socket.socket], None]:
    """Return what answers each request with a body and more than its length, in one piece."""

    def answer(server: Any, connection: socket.socket) -> None:
        while server.request(connection):
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
            connection.sendall(head + body + extra)

    return answer


@pytest.mark.torture(4)
def test_a_body_longer_than_its_length(raw_server: Any, tmp_path: Any, transport: str) -> None:
    stray = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nBAD"
    server = raw_server(sends(b"good", length=4, extra=stray))
    urls = [f"{server.url}/{number}" for number in range(3)]
    config = {"source": {"use": "urls", "urls": urls}, "directory": str(tmp_path), "max_workers": 1}
    report = argosy.download({**config, "transport": transport, "retry_delay": 0, "max_retries": 1})
    if transport == "curl":  # libcurl drops what is too much without a word
        assert (failures(report), server.connections) == ({}, 3), "a connection with left-over bytes was used again"
        assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()] == [b"good"] * 3
        return
    assert set(failures(report).values()) == {"length"}
    assert server.connections == len(server.requests) == 6, "a connection with left-over bytes was used again"
    assert [path.name for path in tmp_path.iterdir()] == [".argosy"]


@pytest.mark.torture(4)
def test_a_promised_digest_decides_over_left_over_bytes(set_sail: SetSail) -> None:
    faults = [fault("longer", size=50_000)]
    voyage = set_sail(items=4, lease_mode="revoke", faults=faults)
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong()) == (4, [])
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(4, 17)
@pytest.mark.parametrize("kind", ["chunked", "no_length", None])
def test_a_body_longer_than_the_manifest_says_is_cut_off(
    raw_server: Any, library_server: Any, tmp_path: Any, kind: str | None
) -> None:
    server = library_server(lease_mode="open", faults=[fault(kind)] if kind else [])
    endless = {"url": server.url_for("/files/a?size=1000000000000"), "size": 1000}
    (tmp_path / "m.jsonl").write_text(json.dumps(endless) + "\n", "utf-8")
    report = argosy.download(
        {"source": {"use": "manifest", "path": str(tmp_path / "m.jsonl")}, "directory": str(tmp_path / "d")}
    )
    assert failures(report) == {endless["url"]: "size"}
    assert report.bytes < 1_000_000
    assert [path.name for path in (tmp_path / "d").iterdir()] == [".argosy"]


@pytest.mark.torture(8)
@pytest.mark.parametrize("lease_mode", ["soft", "redirect", "strict"])
def test_a_login_page_is_never_saved(set_sail: SetSail, lease_mode: str) -> None:
    voyage = set_sail(items=30, lease_mode=lease_mode, digests=False, faults=[fault("login_page", times=1)])
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
    stats = voyage.server.stats()
    assert (stats.logins, stats.faults["login_page"]) == (2, 1)
    voyage.server.expire_sessions()
    assert (voyage.run("--force").returncode, voyage.wrong()) == (0, [])


@pytest.mark.torture(8)
@pytest.mark.parametrize("lease_mode", ["soft", "redirect"])
def test_a_login_page_for_good_fails_and_is_not_saved(set_sail: SetSail, lease_mode: str) -> None:
    voyage = set_sail(
        items=3,
        max_workers=1,
        lease_mode=lease_mode,
        digests=False,
        faults=[fault("login_page", path="item-00002")],
    )
    done = voyage.run()
    assert done.returncode == 1, done.stderr
    assert voyage.done() == {"item-00001", "item-00003"}
    assert not (voyage.library / "item-00002").exists()


@pytest.mark.torture(8, 25)
def test_a_new_session_that_ends_at_once_is_not_the_fault_of_the_request(set_sail: SetSail) -> None:
    """A neighbour may have ended it; only what ends one new session after the other is refused."""
    voyage = set_sail(
        items=3, max_workers=1, lease_mode="revoke", faults=[fault("login_page", path="item-00002", times=2)]
    )
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
    assert voyage.server.stats().logins == 3


@pytest.mark.torture(9)
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (lambda: formatdate(4_000_000_000, usegmt=True), 300),
        ("99999999999999999999", 300),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_obeyed_up_to_a_cap_without_a_lease(
    set_sail: SetSail, header: Any, seconds: float | None
) -> None:
    header = header() if callable(header) else header
    voyage = set_sail(items=1, lease_mode="revoke", faults=[fault("status", retry_after=header, times=1)])
    plugins = PluginManager()
    waits: list[float] = []
    held: list[bool] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            waits.append(event.data["seconds"])
            store = argosy.open_store("json-file", path=str(voyage.root / "cookies.json"))
            release = store.acquire("default", wait=False)
            held.append(release is None)
            if release is not None:
                release()
            if waits[-1] > 1:
                run.stop.drain()

    run = Run(load(voyage.file, plugins), plugins, RunOptions(on_event=on_event))
    report = run.execute()
    assert held == [False], "the session was held while the run waits"
    if seconds is None:
        assert waits[0] <= 0.01  # the usual pause
    else:
        assert waits == [seconds]
    assert report.counts.done == (seconds in (None, 0))


@pytest.mark.torture(9)
@pytest.mark.parametrize("wait", [{"retry_after": 1}, {"retry_after_date": 2}])
def test_retry_after_holds_all_workers_back(set_sail: SetSail, wait: dict[str, float]) -> None:
    faults = [fault("status", status=429, times=1, **wait)]
    voyage = set_sail(items=8, lease_mode="revoke", max_workers=4, faults=faults)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.retries, voyage.wrong()) == (8, 1, [])
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)
    assert report.seconds >= 0.9


@pytest.mark.torture(10)
def test_a_redirect_loop_ends(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, lease_mode="revoke", faults=[fault("redirect", hops=0, path="item-00001")])
    report = argosy.download(voyage.file)
    assert failures(report) == {"item-00001": "redirects"}
    stats = voyage.server.stats()
    assert stats.requests_by_path["/files/item-00001/part-01.bin"] <= 12
    assert (stats.replaced_tokens_sent, stats.logins, report.counts.done) == (0, 1, 1)


@pytest.mark.torture(10)
def test_a_few_redirects_are_followed(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=4,
        lease_mode="revoke",
        max_workers=4,
        faults=[fault("redirect", hops=5, first=1, each_path=True)],
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == (4, [], 0)


@pytest.mark.torture(11)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["host", "port"])
def test_no_cookie_goes_to_another_origin(set_sail: SetSail, raw_server: Any, host: str) -> None:
    def answer(server: Any, connection: socket.socket) -> None:
        while server.request(connection):  # and it would like to replace the token
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: token=evil; Path=/\r\n\r\nelse")

    other = raw_server(answer)
    away = other.url.replace("127.0.0.1", host) + "/x"
    voyage = set_sail(items=3, lease_mode="revoke", digests=False, faults=[fault("redirect", to=away)])
    report = argosy.download(voyage.file)
    assert report.counts.done == 3
    assert len(other.requests) == 3
    assert not any(
        b"token=" in request.replace(b"token=evil", b"") or b"authorization" in request.lower()
        for request in other.requests
    )
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


@pytest.mark.torture(11)
@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "//["])
def test_a_redirect_to_another_scheme_is_refused(set_sail: SetSail, to: str) -> None:
    faults = [fault("redirect", to=to, path="item-00001")]
    voyage = set_sail(items=2, lease_mode="revoke", digests=False, faults=faults, max_retries=1)
    report = argosy.download(voyage.file)
    assert failures(report) == {"item-00001": "url"}
    assert (report.counts.done, voyage.server.stats().replaced_tokens_sent) == (1, 0)


@pytest.mark.torture(12)
def test_103_is_not_the_answer(set_sail: SetSail) -> None:
    faults = [fault("early_hints", path="/login"), fault("early_hints")]
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=3, faults=faults)
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


@pytest.mark.torture(13)
def test_broken_headers_do_not_hide_the_token(set_sail: SetSail, transport: str) -> None:
    faults = [fault("broken_headers", path="/login"), fault("broken_headers")]
    if transport == "curl":  # libcurl refuses such a response: it is lost, and the session in doubt
        faults = [fault("broken_headers", times=1)]
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=3, faults=faults)
    done = voyage.run()
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 2 if transport == "curl" else 1)
    assert "Failed to parse" not in done.stderr


@pytest.mark.torture(13)
@pytest.mark.parametrize("options", [{}, {"size": 10, "count": 300}])
def test_huge_headers_leave_the_session_in_doubt(set_sail: SetSail, options: dict[str, int]) -> None:
    faults = [fault("huge_headers", times=2, **options)]
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=3, faults=faults)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.faults["huge_headers"]) == (6, [], 2)
    assert (stats.replaced_tokens_sent, stats.sessions_revoked) == (0, 0)
    assert stats.logins <= 3


@pytest.mark.torture(14)
@pytest.mark.parametrize("length", ["-5", "many", "1e3", "0x10", "5 5"])
def test_a_length_that_is_none(set_sail: SetSail, length: str, transport: str) -> None:
    faults = [fault("bad_length", length=length, path="item-00001")]
    voyage = set_sail(items=2, lease_mode="revoke", digests=False, faults=faults, max_retries=1)
    report = argosy.download(voyage.file)
    # libcurl refuses such a response
    assert failures(report) == {"item-00001": "lost" if transport == "curl" else "length"}
    assert not (voyage.library / "item-00001").exists()
    assert (report.counts.done, voyage.server.stats().replaced_tokens_sent) == (1, 0)


@pytest.mark.torture(16)
def test_no_headers_at_all(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=4, lease_mode="revoke", max_workers=2, faults=[fault("hang", times=1)], timeout={"headers": 0.5}
    )
    causes: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            causes.append(event.data["cause"])

    report = argosy.download(voyage.file, on_event)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), causes) == (
        4,
        [],
        [f"No response from 127.0.0.1:{voyage.server.port} before the deadline."],
    )
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 2), "the mark stays, and whoever comes next logs in"
