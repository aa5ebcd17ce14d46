"""Web archives over real HTTP: what was served is in them, and nothing of who asked."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.checker import Checker

from argosy.models.items import DownloadRecord
from argosy_devkit import Fault
from voyage import Voyage

SetSail = Callable[..., Voyage]

#: The tokens of a library server: session, number, signature.
TOKEN = re.compile(rb"[\w-]+\.\d+\.[0-9a-f]{24}")


def checked(path: Path) -> bytes:
    """Return what is in an archive, unpacked, after warcio and FastWARC have checked every digest in it."""
    assert Checker(type("", (), {"inputs": [str(path)], "verbose": False})()).process_all() == 0
    for record in ArchiveIterator(io.BytesIO(path.read_bytes()), parse_http=False):
        assert record.verify_block_digest()
    return gzip.decompress(path.read_bytes())


def bodies(path: Path) -> list[tuple[str, str]]:
    """Return the URL and the SHA-256 of each body, as FastWARC reads it."""
    wanted = WarcRecordType.response | WarcRecordType.resource
    return [
        (record.headers["WARC-Target-URI"], hashlib.sha256(record.reader.read()).hexdigest())
        for record in ArchiveIterator(io.BytesIO(path.read_bytes()), record_types=wanted)
    ]


def archives(voyage: Voyage) -> list[Path]:
    return sorted(voyage.library.glob("*.warc.gz"))


def right(path: Path, voyage: Voyage) -> bool:
    """Return whether an archive has the files of its item, and they are what they must be."""
    item = path.name.removesuffix(".warc.gz")
    return [digest for _, digest in bodies(path)] == [
        e.sha256 for e in voyage.expected if e.name.startswith(f"{item}/")
    ]


@pytest.mark.slow
def test_archives_of_200_items_are_made_later_without_a_request(set_sail: SetSail) -> None:
    voyage = set_sail(items=200, resources_per_item=2, lease_mode="revoke", max_workers=4, size=3000)
    assert voyage.run("--quiet").returncode == 0
    session = (voyage.root / "cookies.json").read_bytes()
    seen = voyage.server.stats().requests
    assert voyage.server.stats().rotations >= 400
    for secret in ("cookies.json", "password.txt"):
        (voyage.root / secret).unlink()
    done = voyage.argosy("output", str(voyage.library), "--output", "warc")
    assert done.returncode == 0, done.stderr
    assert voyage.server.stats().requests == seen
    assert len(archives(voyage)) == 200
    assert all(right(path, voyage) for path in archives(voyage))
    assert TOKEN.search(session), "or nothing would be found"
    for path in archives(voyage):
        text = checked(path)
        for found in (text, path.read_bytes()):
            assert not TOKEN.search(found)
            assert voyage.server.password.encode() not in found
        assert b"cookie:" not in text.lower()
        assert b"User-Agent: " in text
    before = [path.read_bytes() for path in archives(voyage)]
    again = voyage.argosy("output", str(voyage.library), "--output", "warc", "--force")
    assert again.returncode == 0, again.stderr
    assert [path.read_bytes() for path in archives(voyage)] == before, "the same bytes each time"
    assert voyage.server.stats().requests == seen


def test_what_the_wire_did_to_a_body_is_not_in_its_record(set_sail: SetSail) -> None:
    faults = [
        Fault("gzip_truncated", path="item-00001/", fraction=1.0),
        Fault("chunked", path="item-00002/"),
        Fault("redirect", path="item-00003/", hops=2, first=1),
        Fault("cut", path="item-00004/", fraction=0.5, first=1),
    ]
    voyage = set_sail(items=4, lease_mode="revoke", size=300_000, faults=faults, output=["warc"])
    done = voyage.run("--quiet")
    assert done.returncode == 0, done.stderr
    assert {*voyage.server.stats().faults} == {"gzip_truncated", "chunked", "redirect", "cut"}
    assert len(archives(voyage)) == 4
    assert all(right(path, voyage) for path in archives(voyage))
    packed, chunked, redirected, cut = map(checked, archives(voyage))
    assert b"\r\nX-Archive-Orig-Content-Encoding: gzip\r\n" in packed
    assert b"\r\nX-Archive-Orig-Transfer-Encoding: chunked\r\n" in chunked
    assert all(b"\r\nContent-Length: 300000\r\n\r\n" in text for text in (packed, chunked, redirected, cut))
    (expected,) = (e for e in voyage.expected if e.name.startswith("item-00003/"))
    (answered,) = [url for url, _ in bodies(archives(voyage)[2])]
    assert "hop=" in urlsplit(answered).query
    (asked,) = re.findall(rb"via: (\S+)\r\n", redirected)
    assert answered.startswith(asked.decode()), expected
    assert b"HTTP/1.1 200 OK\r\n" in cut, "it is of the response that the bytes began with"
    assert not any(b"via: " in text for text in (packed, chunked, cut))


def test_an_archive_gives_back_what_nobody_kept(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, resources_per_item=2, size=3000, output=["warc"])
    assert voyage.run("--quiet").returncode == 0
    seen = voyage.server.stats().requests
    archives(voyage)[2].write_bytes(archives(voyage)[2].read_bytes()[:-900])
    done = voyage.argosy("output", str(voyage.library), "--output", "files")
    assert (done.returncode, voyage.server.stats().requests) == (1, seen)
    assert "item-00003" in done.stderr
    assert voyage.damaged() == []
    assert sorted(p.parent.name for p in voyage.library.glob("*/*.bin")) == ["item-00001"] * 2 + ["item-00002"] * 2


def test_of_a_library_that_kept_no_responses_no_response_is_invented(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, resources_per_item=2, size=3000)
    assert voyage.run("--quiet").returncode == 0
    with contextlib.closing(sqlite3.connect(voyage.library / ".argosy" / "ledger.sqlite")) as db:
        ((packed,),) = db.execute("SELECT data FROM remembered")
        known = DownloadRecord.unpack(packed)
        known = replace(known, files=tuple((*file[:3], None) for file in known.files))
        db.execute("UPDATE remembered SET data = ?", [known.pack()])
        db.commit()
    assert voyage.argosy("output", str(voyage.library), "--output", "warc").returncode == 0
    (path,) = archives(voyage)
    text = checked(path)
    assert right(path, voyage)
    assert text.count(b"WARC-Type: resource\r\n") == 2
    assert b"WARC-Type: response" not in text
    assert b"WARC-Type: request" not in text
