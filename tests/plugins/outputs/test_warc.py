"""The output `warc`: read back with two readers that share no code."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from argosy import ResponseRecord, StagedItem
from argosy.errors import ConfigError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy_plugins.outputs.warc import WarcOutput

Stage = Callable[..., StagedItem]
Make = Callable[..., Output]

RECEIVED = 1_700_000_000.25


def answered(item: StagedItem, *heads: ResponseRecord | None) -> StagedItem:
    """Return the item with other heads."""
    files = tuple(replace(file, response=head) for file, head in zip(item.files, heads, strict=True))
    return replace(item, files=files)


def head(url: str, *headers: tuple[str, str], **other: Any) -> ResponseRecord:
    values = {
        "status": 200,
        "reason": "OK",
        "version": "HTTP/1.1",
        "asked": (),
        "received": RECEIVED,
        **other,
    }
    return ResponseRecord(url=url, headers=headers, **values)


def made(output: Output, item: StagedItem, scratch: Path) -> Path:
    scratch.mkdir()
    (product,) = output.produce(item, scratch)
    assert [product.name] == list(output.names(item.item))
    checker = Checker(type("", (), {"inputs": [str(product.file)], "verbose": False})())
    assert checker.process_all() == 0, "warcio's own check"
    for record in FastIterator(io.BytesIO(product.file.read_bytes()), parse_http=False):
        assert record.verify_block_digest(), record.headers.to_dict()
        record.reader.consume()
    return product.file


def records(path: Path) -> list[tuple[dict[str, str], Any, bytes]]:
    """Return the header, the HTTP head and the payload of each record."""
    with path.open("rb") as stream:
        return [
            (dict(r.rec_headers.headers), r.http_headers, r.content_stream().read()) for r in ArchiveIterator(stream)
        ]


def kinds(path: Path) -> list[str]:
    return [header["WARC-Type"] for header, _, _ in records(path)]


def test_each_file_has_its_request_and_its_response(stage: Stage, make: Make, tmp_path: Path) -> None:
    asked = (("User-Agent", "argosy/1"), ("Accept", "*/*"))
    item = answered(
        stage(),
        head("https://h/0", ("Content-Type", "text/html"), ("Content-Length", "3"), asked=asked),
        head("https://h/1", ("Content-Type", "text/plain"), received=RECEIVED + 60),
    )
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    assert path.name.endswith(".warc.gz")
    found = records(path)
    assert kinds(path) == ["warcinfo", "response", "request", "response", "request"]
    (info, _, told), (response, http, body), (request, sent, _) = found[:3]
    assert b"format: WARC File Format 1.1\r\n" in told
    assert b"Cookies and credentials were left out" in told
    assert info["WARC-Filename"] == "b1.warc.gz"
    assert info["WARC-Date"] == "2023-11-14T22:14:20.250000Z", "when the last one came"
    assert response["WARC-Target-URI"] == request["WARC-Target-URI"] == "https://h/0"
    assert response["WARC-Date"] == request["WARC-Date"] == "2023-11-14T22:13:20.250000Z"
    assert request["WARC-Concurrent-To"] == response["WARC-Record-ID"]
    assert response["WARC-Concurrent-To"] == request["WARC-Record-ID"]
    assert {h["WARC-Warcinfo-ID"] for h, _, _ in found[1:]} == {info["WARC-Record-ID"]}
    assert len({h["WARC-Record-ID"] for h, _, _ in found}) == 5
    assert (http.protocol, http.statusline, body) == ("HTTP/1.1", "200 OK", b"one")
    assert http.headers == [("Content-Type", "text/html"), ("Content-Length", "3")]
    assert (sent.protocol, sent.statusline) == ("GET", "/0 HTTP/1.1")
    assert sent.headers == [("Host", "h"), *asked]


def test_another_reader_sees_the_same(stage: Stage, make: Make, tmp_path: Path) -> None:
    item = answered(stage(), head("https://h/0", ("Content-Type", "text/html")), None)
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    mine = records(path)
    theirs = []
    for record in FastIterator(io.BytesIO(path.read_bytes())):
        if record.is_http:  # of a resource it cannot check it; the payload is the block there
            assert record.verify_payload_digest()
        theirs.append((dict(record.headers.to_tuples()), record.reader.read()))
    assert [header for header, _ in theirs] == [header for header, _, _ in mine]
    assert [body for _, body in theirs] == [body for _, _, body in mine]


def test_every_record_is_a_gzip_member_of_its_own(stage: Stage, make: Make, tmp_path: Path) -> None:
    path = made(make(WarcOutput), stage(), tmp_path / "scratch")
    raw = path.read_bytes()
    offsets = []
    with path.open("rb") as stream:
        for record in (reader := ArchiveIterator(stream)):
            record.content_stream().read()
            offsets.append(reader.get_record_offset())
    assert all(raw[at : at + 8] == b"\x1f\x8b\x08\0\0\0\0\0" for at in offsets), "with no time in it"
    assert len(offsets) == len(kinds(path))


def test_it_is_the_same_bytes_each_time(
    stage: Stage, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = stage(bodies={f"{n:02}.png": bytes([n]) * 5000 for n in range(12)})
    first = made(make(WarcOutput), item, tmp_path / "one").read_bytes()
    for file in item.files:
        os.utime(file.path, (5e8, 5e8))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    assert made(make(WarcOutput), item, tmp_path / "two").read_bytes() == first


def test_what_is_stored_decoded_does_not_say_otherwise(stage: Stage, make: Make, tmp_path: Path) -> None:
    coded = (
        ("Content-Encoding", "gzip"),
        ("content-length", "99"),
        ("Transfer-Encoding", "chunked"),
        ("Repr-Digest", "sha-256=:eA==:"),
        ("ETag", '"1"'),
    )
    plain = (("Repr-Digest", "sha-256=:eA==:"), ("Transfer-Encoding", "chunked"))
    item = answered(stage(), head("https://h/0", *coded), head("https://h/1", *plain))
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    heads = [(http.headers, body) for header, http, body in records(path) if header["WARC-Type"] == "response"]
    assert heads[0] == (
        [
            ("X-Archive-Orig-Content-Encoding", "gzip"),
            ("X-Archive-Orig-content-length", "99"),
            ("X-Archive-Orig-Transfer-Encoding", "chunked"),
            ("X-Archive-Orig-Repr-Digest", "sha-256=:eA==:"),
            ("ETag", '"1"'),
            ("Content-Length", "3"),
        ],
        b"one",
    )
    assert heads[1][0] == [plain[0], ("X-Archive-Orig-Transfer-Encoding", "chunked"), ("Content-Length", "3")]


SECRET = "s3cr3t-value"
SECRET_FIELDS = [
    ("Set-Cookie", f"sid={SECRET}"),
    ("Cookie", SECRET),
    ("Authorization", SECRET),
    ("Proxy-Authorization", SECRET),
    ("Proxy-Whatever", SECRET),
    ("WWW-Authenticate", SECRET),
    ("X-Api-Key", SECRET),
    ("X-Session-Token", SECRET),
    ("Location", f"https://h/next?access_token={SECRET}"),
    (f"broken name: {SECRET}", "x"),
]


@pytest.mark.parametrize("field", SECRET_FIELDS, ids=lambda field: field[0].split(":")[0])
def test_no_credential_is_written_even_if_it_was_kept(
    stage: Stage, make: Make, tmp_path: Path, field: tuple[str, str]
) -> None:
    item = answered(
        stage(bodies={"1.html": b"one"}),
        head("https://h/0", ("Content-Type", "text/html"), field, asked=(("Accept", "*/*"), field)),
    )
    path = made(make(WarcOutput, urls="as-asked"), item, tmp_path / "scratch")
    assert SECRET.encode() not in gzip.decompress(path.read_bytes())
    assert b"Content-Type: text/html" in gzip.decompress(path.read_bytes())


#: A quotation mark ends what looks like a URL in a text, but not a URL.
ASKED = f"https://h/it's/0?page=2&token={SECRET}#{SECRET}"


@pytest.mark.parametrize("urls", ["redacted", "as-asked"])
@pytest.mark.parametrize("known", [True, False], ids=["response", "resource"])
def test_secrets_in_urls_are_hidden_unless_asked_for(
    stage: Stage, make: Make, tmp_path: Path, urls: str, known: bool
) -> None:
    item = stage(bodies={"1.html": b"one"}, id=f"https://h/?token={SECRET}", title="x")
    (file,) = item.files
    kept = head("https://h/it's/0?page=2&token=***") if known else None
    file = replace(file, resource=replace(file.resource, url=ASKED), response=kept)
    item = StagedItem(item.item, (file,))
    path = made(make(WarcOutput, urls=urls), item, tmp_path / "scratch")
    text = gzip.decompress(path.read_bytes())
    shown = SECRET if urls == "as-asked" else "***"
    body = next(h for h, _, _ in records(path) if h["WARC-Type"] in ("response", "resource"))
    assert body["WARC-Target-URI"] == f"https://h/it's/0?page=2&token={shown}"
    assert (SECRET.encode() in text) == (urls == "as-asked")
    assert "metadata" not in kinds(path), "it is the URL that was asked"
    if known:
        assert f"GET /it's/0?page=2&token={shown} HTTP/1.1".encode() in text


def test_of_a_redirect_the_last_response_and_what_was_asked(stage: Stage, make: Make, tmp_path: Path) -> None:
    item = answered(stage(bodies={"1.html": b"one"}), head("https://mirror.example/x?sig=***"))
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    assert kinds(path) == ["warcinfo", "response", "request", "metadata"]
    response, request, metadata = records(path)[1:]
    assert response[0]["WARC-Target-URI"] == "https://mirror.example/x?sig=***"
    assert request[1].get_header("Host") == "mirror.example"
    assert metadata[2] == b"via: https://h/0\r\n"
    assert metadata[0]["WARC-Concurrent-To"] == response[0]["WARC-Record-ID"]


def test_no_response_is_invented(stage: Stage, make: Make, tmp_path: Path) -> None:
    item = answered(stage(bodies={"1.html": b"one", "2.unheard": b"GET / HTTP/1.1\r\n\r\n"}), None, None)
    for file in item.files:
        os.utime(file.path, (RECEIVED, RECEIVED))
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    assert kinds(path) == ["warcinfo", "resource", "resource"]
    (one, _, body), (two, _, odd) = records(path)[1:]
    assert (one["WARC-Target-URI"], one["Content-Type"], body) == ("https://h/0", "text/html", b"one")
    assert one["WARC-Date"].startswith("2023-11-14T22:13:20"), "that of the file"
    assert (two["Content-Type"], odd) == ("application/octet-stream", b"GET / HTTP/1.1\r\n\r\n")


ODD_HEADS = [
    (("X-Name", "caf\xe9"), b"X-Name: caf\xe9\r\n"),
    (("X-Name", "中"), "X-Name: 中\r\n".encode()),
    (("X-Name", "a\r\n b"), b"X-Name: a b\r\n"),
    (("X-Name", "a\r\n\r\nb\0c"), b"X-Name: a b c\r\n"),
    (("X-Name", "\udc80"), b"X-Name: \\udc80\r\n"),
    (("X-Name", ""), b"X-Name:\r\n"),
]


@pytest.mark.parametrize(("field", "written"), ODD_HEADS)
def test_a_head_is_written_as_it_came_and_stays_one(
    stage: Stage, make: Make, tmp_path: Path, field: tuple[str, str], written: bytes
) -> None:
    kept = head("https://h/0", field, reason="Ça\nva", version="HTTP/2.0", status=203)
    item = answered(stage(bodies={"1.html": b"one"}), kept)
    path = made(make(WarcOutput), item, tmp_path / "scratch")
    text = gzip.decompress(path.read_bytes())
    assert b"\r\nHTTP/1.1 203 \xc7a va\r\n" + written + b"Content-Length: 3\r\n\r\none\r\n" in text
    assert records(path)[1][2] == b"one"


def test_odd_items_make_good_archives(stage: Stage, make: Make, tmp_path: Path) -> None:
    bodies = {"empty": b"", "2.html": b"two"}
    item = stage(bodies=bodies, id="книга\udc80 №1", title="a\nb\r\nsoftware: x", folder="")
    path = made(make(WarcOutput), answered(item, head("https://h/0"), None), tmp_path / "scratch")
    assert b"description: a b software: x (" in records(path)[0][2]
    assert [body for h, _, body in records(path) if h["WARC-Type"] in ("response", "resource")] == [
        b"",
        b"two",
    ]
    nothing = replace(item, item=replace(item.item, resources=()), files=())
    assert kinds(made(make(WarcOutput), nothing, tmp_path / "nothing")) == ["warcinfo"]


def test_it_gives_the_resources_back(stage: Stage, make: Make, tmp_path: Path) -> None:
    packed = gzip.compress(b"three", mtime=0)
    item, output = stage(bodies={"1": b"one", "empty": b"", "3": packed}), make(WarcOutput)
    item = answered(item, head("https://h/0"), None, head("https://h/2", ("Content-Encoding", "gzip")))
    path = made(output, item, tmp_path / "made")
    (tmp_path / "back").mkdir()
    back = list(output.restore(item.item, [path], tmp_path / "back"))
    assert [file.read_bytes() for file in back if file is not None] == [b"one", b"", packed]


def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "warcio", None)
    with pytest.raises(ConfigError, match=r"pip install 'argosy\[warc\]'"):
        WarcOutput({"layout": "{id}", "urls": "redacted"}, PluginContext())


#: Makes an archive of a file in a process of its own, where not much memory can be had.
BIG = """
import resource, sys
from pathlib import Path
import warcio.archiveiterator, warcio.warcwriter
from argosy import Item, PluginContext, Resource, ResponseRecord, StagedFile, StagedItem
from argosy.models.items import Verification
from argosy_plugins.outputs.warc import WarcOutput

root, size, digest = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
part = Resource("https://h/", "big")
head = ResponseRecord("https://h/", 200, "OK", "HTTP/1.1", (), (), 1.0)
file = StagedFile(part, root / "big", size, digest, Verification.NONE, head)
output = WarcOutput({"layout": "{id}", "urls": "redacted"}, PluginContext())
(root / "scratch").mkdir()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), resource.RLIM_INFINITY))
(product,) = output.produce(StagedItem(Item("b", "B", (part,)), (file,)), root / "scratch")
# what is nothing but zeros becomes 17 MB out of the 16 KB that warcio unpacks at once
resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20), resource.RLIM_INFINITY))
(back,) = output.restore(Item("b", "B", (part,)), [product.file], root / "scratch")
print(back.stat().st_size)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to know what a process has mapped")
def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    size, digest = 300 << 20, hashlib.sha256()
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    for _ in range(300):
        digest.update(bytes(1 << 20))
    arguments = [sys.executable, "-c", BIG, str(tmp_path), str(size), digest.hexdigest()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(size)), done.stderr
    archive = tmp_path / "scratch" / "item.warc.gz"
    with archive.open("rb") as stream:
        (length,) = [
            int(r.http_headers.get_header("Content-Length"))
            for r in ArchiveIterator(stream)
            if r.rec_type == "response"
        ]
    assert length == size
