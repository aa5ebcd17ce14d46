"""The torture table, section server: transfers that break off, and what the next request makes of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.engine.report import Report
from argosy.state.ledger import Ledger
from argosy_devkit import body_of
from hazards import failures, fault
from voyage import Voyage

SetSail = Callable[..., Voyage]
#: What a server says to one request; or what makes it, of the request's head.
Reply = bytes | Callable[[bytes], bytes]
SIZE = 2_000_000
#: How the first body is cut, and how many bytes of it come.
CUT = fault("cut", fraction=0.6, times=1)
PART = 1_200_000
#: A server that names no validators.
BARE = [("ETag", ""), ("Last-Modified", "")]
#: What a download is told that has come in two parts, or whose first part was worth nothing.
GONE_ON, ANEW = SIZE, PART + SIZE


def set_out(set_sail: SetSail, *faults: Any, **options: Any) -> Voyage:
    """Set out to one file whose first body is cut; the faults strike the requests behind it."""
    options = {"digests": False, "lease_mode": "revoke", "size": SIZE, "faults": [CUT, *faults], **options}
    return set_sail(items=1, **options)


def download(voyage: Voyage, *, version: int = 0, requests: int | None = None) -> Report:
    """Download; the file must be the one that the server has after so many changes, and no token was sent twice."""
    report = argosy.download(voyage.file)
    (expected,) = voyage.expected
    assert report.counts.done == 1, report.failures
    body = body_of(expected.path.removeprefix("/files/"), expected.size, version)
    assert (voyage.library / expected.name).read_bytes() == body
    assert staged(voyage) == []
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused) == (0, 0)
    if requests is not None:
        assert stats.requests_by_path[expected.path] == requests
    return report


def staged(voyage: Voyage) -> list[str]:
    """Return the names of what lies in staging."""
    return sorted(p.name for p in (voyage.library / ".argosy" / "staging").rglob("*") if p.is_file())


def kinds(voyage: Voyage) -> set[str]:
    """Return how far the finished files were checked."""
    ledger = Ledger(voyage.library, read_only=True)
    try:
        return {file.verification.value for row in ledger.all_rows() for file in row.files}
    finally:
        ledger.close()


@pytest.mark.torture(1)
@pytest.mark.parametrize("lease", ["exclusive", "exclusive-to-end", "shared"])
def test_a_cut_body_is_gone_on_with(set_sail: SetSail, lease: str) -> None:
    lease_mode = "static" if lease == "shared" else "revoke"
    voyage = set_out(set_sail, lease_mode=lease_mode, lease=lease)
    starts: list[tuple[int, int]] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.started":
            starts.append((event.data["offset"], event.data["size"]))

    report = argosy.download(voyage.file, on_event)
    assert (report.counts.done, report.retries, voyage.wrong(), kinds(voyage)) == (1, 1, [], {"length only"})
    assert starts == [(0, SIZE), (PART, SIZE)]
    assert report.bytes == SIZE, "the part that was there came again"
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(1)
@pytest.mark.parametrize("strategy", ["serial", "threads", "multiprocess"])
def test_the_next_run_goes_on(set_sail: SetSail, strategy: str) -> None:
    voyage = set_out(set_sail, max_retries=0, strategy=strategy)
    assert voyage.run().returncode == 1
    assert [path.name for path in voyage.library.iterdir()] == [".argosy"]
    assert len(staged(voyage)) == 2
    assert download(voyage).bytes == SIZE - PART


@pytest.mark.torture(1)
def test_a_transfer_that_gets_on_is_not_given_up(set_sail: SetSail) -> None:
    voyage = set_out(set_sail, faults=[fault("cut", fraction=0.2, times=6)], size=20_000_000, max_retries=1)
    report = download(voyage, requests=7)
    assert (report.bytes, report.retries) == (20_000_000, 6)


@pytest.mark.torture(1)
def test_a_range_that_ends_early_is_gone_on_with(raw_server: Any, tmp_path: Path) -> None:
    body = body_of("a", 4_000_000)

    def some(head: bytes) -> bytes:
        start = range_of(head)
        piece = body[start : start + 1_200_000]
        return answer(206, piece, f"Content-Range: bytes {start}-{start + len(piece) - 1}/{len(body)}", 'ETag: "1"')

    first = answer(200, body[:500_000], f"Content-Length: {len(body)}", 'ETag: "1"')
    report, requests = served(raw_server, tmp_path, [first, some, some, some])
    assert (report.counts.done, len(requests)) == (1, 4)
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(1)
def test_a_body_without_a_length_that_is_shorter_than_promised(raw_server: Any, tmp_path: Path) -> None:
    body = body_of("a", 100_000)

    def rest(head: bytes) -> bytes:
        start = range_of(head)
        return answer(206, body[start:], f"Content-Range: bytes {start}-{len(body) - 1}/*", 'ETag: "1"')

    first = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nConnection: close\r\n\r\n' + body[:30_000]
    report, requests = served(raw_server, tmp_path, [first, rest], size=len(body))
    assert (report.counts.done, report.bytes, len(requests)) == (1, len(body), 2)
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(5)
def test_a_server_that_ignores_ranges(set_sail: SetSail) -> None:
    assert download(set_out(set_sail, fault("ignore_range")), requests=2).bytes == ANEW


@pytest.mark.torture(5)
@pytest.mark.parametrize("status", [404, 500, 429])
def test_an_error_costs_nothing_of_what_is_there(set_sail: SetSail, status: int) -> None:
    voyage = set_out(set_sail, fault("status", status=status, retry_after=0, times=1), max_retries=2)
    if status == 404:
        assert failures(argosy.download(voyage.file)) == {"item-00001": "status"}
        assert download(voyage, requests=3).bytes == SIZE - PART
    else:
        assert download(voyage, requests=3).bytes == GONE_ON


@pytest.mark.torture(6)
@pytest.mark.parametrize(
    "odd",
    [
        fault("wrong_range"),
        fault("header", only=206, header="ETag", value='"other"'),
        fault("header", only=206, header="ETag", value='W/"weak"'),
        fault("header", only=206, header="Content-Range", value=""),
        fault("header", only=206, header="Content-Range", value=f"bytes {PART}-{SIZE - 1}/{SIZE + 1}"),
        fault("header", only=206, header="Content-Range", value=f"bytes {PART}-{SIZE - 2}/{SIZE}"),
        fault("header", only=206, header="Content-Range", value=f"bytes {PART}-{SIZE}/{SIZE}"),
        fault("header", only=206, header="Content-Range", value=f"items {PART}-{SIZE - 1}/{SIZE}"),
        fault("header", only=206, header="Content-Type", value="multipart/byteranges; boundary=x"),
        fault("header", only=206, header="Content-Encoding", value="gzip"),
        fault("header", only=206, header="Repr-Digest", value=f"sha-256=:{'A' * 43}=:"),
    ],
    ids=lambda odd: f"{odd.kind} {odd.header} {odd.value}".strip(),
)
def test_a_part_that_does_not_fit(set_sail: SetSail, odd: Any) -> None:
    headers = [("Repr-Digest", f"sha-256=:{'B' * 43}=:")] if odd.header == "Repr-Digest" else []
    voyage = set_out(set_sail, odd, headers=headers)
    if headers:  # both are wrong; but what counts is that the part was refused before its body was read
        assert failures(argosy.download(voyage.file)) == {"item-00001": "digest"}
        return
    report = download(voyage, requests=3)
    assert (report.bytes, report.retries) == (ANEW, 1), "the odd answer was taken, or cost an attempt"


@pytest.mark.torture(6)
@pytest.mark.parametrize("digest", [True, False])
def test_a_part_of_another_place(raw_server: Any, tmp_path: Path, digest: bool) -> None:
    """An entity tag is one resource's (RFC 9110 section 8.8.3); a digest tells whether the other has the same bytes."""
    body = body_of("a", 100_000)

    def rest(head: bytes) -> bytes:
        start = range_of(head)
        return answer(206, body[start:], f"Content-Range: bytes {start}-99999/100000", 'ETag: "1"')

    first = answer(200, body[:60_000], "Content-Length: 100000", 'ETag: "1"')
    again = answer(200, body, 'ETag: "1"')
    answers: list[Reply] = [first, answer(302, b"", "Location: /b"), rest, again]
    promised: dict[str, Any] = {"sha256": hashlib.sha256(body).hexdigest()} if digest else {}
    report, requests = served(raw_server, tmp_path, answers, **promised)
    assert (report.counts.done, len(requests)) == (1, 3 if digest else 4)
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(7)
def test_416_on_what_is_whole(raw_server: Any, tmp_path: Path) -> None:
    body = body_of("a", 100_000)
    # all of it in one chunk, and then no end
    first = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b' % (len(body), body)
    none = answer(416, b"no", f"Content-Range: bytes */{len(body)}", 'ETag: "1"')
    report, requests = served(raw_server, tmp_path, [first, none])
    assert (report.counts.done, report.bytes, len(requests)) == (1, len(body), 2)
    assert b"range: bytes=100000-\r\n" in requests[1].lower()
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(7)
@pytest.mark.parametrize("headers", [[], ["Content-Range: bytes */5"], ["Content-Range: bytes */60000", 'ETag: "2"']])
def test_416_on_anything_else(raw_server: Any, tmp_path: Path, headers: list[str]) -> None:
    body = body_of("a", 100_000)
    first = answer(200, body[:60_000], f"Content-Length: {len(body)}", 'ETag: "1"')
    answers = [first, answer(416, b"no", *headers), answer(200, body, 'ETag: "1"')]
    report, requests = served(raw_server, tmp_path, answers)
    assert (report.counts.done, report.retries, len(requests)) == (1, 1, 3)
    assert b"range" not in requests[2].lower()
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(7)
def test_416_on_what_is_whole_but_damaged(raw_server: Any, tmp_path: Path) -> None:
    body = body_of("a", 100_000)
    first = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b' % (
        len(body),
        b"x" + body[1:],
    )
    none = answer(416, b"no", f"Content-Range: bytes */{len(body)}")
    answers = [first, none, answer(200, body, 'ETag: "1"')]
    promised = hashlib.sha256(body).hexdigest()
    report, requests = served(raw_server, tmp_path, answers, max_retries=2, sha256=promised)
    assert (report.counts.done, len(requests)) == (1, 3)
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(86)
@pytest.mark.parametrize("status", [400, 403, 431, 501])
def test_a_refused_range_is_followed_by_a_request_for_the_whole(raw_server: Any, tmp_path: Path, status: int) -> None:
    body = body_of("a", 100_000)
    first = answer(200, body[:60_000], f"Content-Length: {len(body)}", 'ETag: "1"')
    refused, again = answer(status, b"no"), answer(200, body, 'ETag: "1"')
    report, requests = served(raw_server, tmp_path, [first, refused, again])
    assert (report.counts.done, report.retries, len(requests)) == (1, 1, 3), report.failures
    assert [b"range" in request.lower() for request in requests] == [False, True, False]
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(86)
def test_what_came_is_kept_if_the_whole_is_refused_as_well(raw_server: Any, tmp_path: Path) -> None:
    body = body_of("a", 100_000)

    def rest(head: bytes) -> bytes:
        start = range_of(head)
        return answer(206, body[start:], f"Content-Range: bytes {start}-99999/100000", 'ETag: "1"')

    first = answer(200, body[:60_000], f"Content-Length: {len(body)}", 'ETag: "1"')
    refused = answer(403, b"no")
    report, requests = served(raw_server, tmp_path, [first, refused, refused, rest])
    assert (set(failures(report).values()), len(requests)) == ({"status"}, 3)
    source = {"use": "manifest", "path": str(tmp_path / "m.jsonl")}
    report = argosy.download({"source": source, "directory": str(tmp_path / "d")})
    assert (report.counts.done, report.bytes) == (1, 40_000)
    assert (tmp_path / "d" / "a").read_bytes() == body


@pytest.mark.torture(86)
def test_a_refused_range_behind_a_login(set_sail: SetSail) -> None:
    voyage = set_out(set_sail, fault("status", status=403, times=2), digests=True)
    assert download(voyage, requests=4).bytes == ANEW
    assert voyage.server.stats().logins == 2


@pytest.mark.torture(86)
def test_force_does_not_resume(set_sail: SetSail) -> None:
    voyage = set_out(set_sail, max_retries=0)
    assert voyage.run().returncode == 1
    assert len(staged(voyage)) == 2
    forced = voyage.run("--force", "--report", str(voyage.root / "report.json"))
    assert forced.returncode == 0, forced.stderr
    assert json.loads((voyage.root / "report.json").read_text("utf-8"))["bytes"] == SIZE
    assert voyage.wrong() == []


@pytest.mark.torture(18)
@pytest.mark.parametrize("headers", [[], [("ETag", "")]], ids=["ETag", "Last-Modified"])
def test_content_that_changed_starts_again(set_sail: SetSail, headers: Any) -> None:
    voyage = set_out(set_sail, fault("etag_change", times=1), headers=headers)
    assert download(voyage, version=1, requests=2).bytes == ANEW


@pytest.mark.torture(18)
@pytest.mark.parametrize("headers", [[], [("ETag", "")]], ids=["ETag", "Last-Modified"])
def test_content_that_did_not_change_is_gone_on_with(set_sail: SetSail, headers: Any) -> None:
    assert download(set_out(set_sail, headers=headers), requests=2).bytes == GONE_ON


@pytest.mark.torture(18)
@pytest.mark.parametrize("headers", [BARE, [("ETag", 'W/"1"')]], ids=["none", "weak"])
@pytest.mark.parametrize("digests", [True, False])
def test_without_a_strong_validator(set_sail: SetSail, headers: Any, digests: bool) -> None:
    voyage = set_out(set_sail, headers=headers, digests=digests)
    assert download(voyage, requests=2).bytes == (GONE_ON if digests else ANEW)


@pytest.mark.torture(18)
def test_a_date_that_is_no_strong_validator(set_sail: SetSail) -> None:
    """The file changed ten seconds before it was asked for: it may change again within the same second."""
    made = 1_700_000_000
    voyage = set_out(set_sail, headers=[("ETag", "")], date_offset=made + 10 - time.time())
    assert download(voyage).bytes == ANEW


@pytest.mark.torture(18)
def test_changed_content_without_a_validator_is_found_by_its_digest(set_sail: SetSail) -> None:
    voyage = set_out(set_sail, fault("etag_change", times=1), headers=BARE, digests=True, max_retries=1)
    assert failures(argosy.download(voyage.file)) == {"item-00001": "digest"}
    assert (voyage.done(), staged(voyage)) == (set(), []), "two halves of different files were kept"


@pytest.mark.torture(15)
def test_a_drip_feed_is_cut_off(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=1,
        digests=False,
        faults=[fault("slow_drip", rate=20, times=1)],
        timeout={"read": 1},
        low_speed_limit=100,
    )
    causes: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            causes.append(event.data["cause"])

    report = argosy.download(voyage.file, on_event)
    assert (report.counts.done, report.bytes, voyage.wrong()) == (1, 10_000, [])
    assert len(causes) == 1
    assert "too slow" in causes[0]


@pytest.mark.torture(17)
@pytest.mark.parametrize("kind", ["chunked", "no_length"])
def test_an_endless_body(set_sail: SetSail, kind: str) -> None:
    voyage = set_sail(items=2, faults=[fault(kind)], max_size=300_000)
    voyage.expect_size(10**12)
    report = argosy.download(voyage.file)
    assert set(failures(report).values()) == {"too-large"}
    assert (report.retries, staged(voyage)) == (0, [])
    assert report.bytes <= 2 * 300_000


@pytest.mark.torture(17)
def test_an_announced_body_that_is_too_large(set_sail: SetSail) -> None:
    voyage = set_sail(items=1)
    voyage.expect_size(10**15)
    report = argosy.download(voyage.file)
    assert (failures(report), report.bytes) == ({"item-00001": "too-large"}, 0)
    voyage.config["max_size"] = 10**6
    report = argosy.download(voyage.file)
    assert (failures(report), report.bytes) == ({"item-00001": "too-large"}, 0)
    assert "max_size" in report.failures[0].message


@pytest.mark.torture(17)
def test_a_decompression_bomb(raw_server: Any, tmp_path: Path) -> None:
    packed = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    bomb = b"".join([*(packed.compress(piece) for _ in range(200)), packed.flush()])
    assert len(bomb) < 400_000
    report, _ = served(raw_server, tmp_path, [answer(200, bomb, "Content-Encoding: gzip")])
    assert set(failures(report).values()) == {"too-large"}
    assert report.bytes < 20 << 20


@pytest.mark.torture(2)
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("cut", [False, True])
def test_a_compressed_body_is_taken_to_its_end(raw_server: Any, tmp_path: Path, members: int, cut: bool) -> None:
    """A gzip file may have several members (RFC 1952 section 2.2): the first one's end is not the end."""
    body = body_of("a", 300_000)
    packed = gzip.compress(body, 1) * members
    whole = answer(200, packed, "Content-Encoding: gzip", 'ETag: "1"')
    first = answer(200, packed[:-100], "Content-Encoding: gzip", f"Content-Length: {len(packed)}", 'ETag: "1"')
    report, requests = served(raw_server, tmp_path, [first, whole] if cut else [whole])
    assert (report.counts.done, len(requests)) == (1, 1 + cut)
    assert b"range" not in requests[-1].lower(), "a part of a compressed body was gone on from"
    assert (tmp_path / "d" / "a").read_bytes() == body * members


# -- servers that say what a test says, byte by byte


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """Return a response; its length is the body's unless a header says otherwise."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if not any(line.startswith("Content-Length") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def range_of(head: bytes) -> int:
    """Return where a request wants the body to begin."""
    return int(head.lower().partition(b"range: bytes=")[2].partition(b"-")[0])


def served(
    raw_server: Any,
    root: Path,
    answers: Sequence[Reply],
    *,
    max_retries: int = 1,
    **promised: Any,
) -> tuple[Report, list[bytes]]:
    """Download one file from a server that gives these answers in turn; return the report and the requests."""

    def serve(server: Any, connection: socket.socket) -> None:
        head = server.request(connection)
        if head:
            reply = answers[len(server.requests) - 1]
            connection.sendall(reply if isinstance(reply, bytes) else reply(head))

    server = raw_server(serve)
    (root / "m.jsonl").write_text(json.dumps({"url": f"{server.url}/a", **promised}) + "\n", "utf-8")
    source = {"use": "manifest", "path": str(root / "m.jsonl")}
    config = {"source": source, "directory": str(root / "d"), "retry_delay": 0.01}
    return argosy.download({**config, "max_retries": max_retries}), server.requests
