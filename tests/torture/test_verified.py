"""The torture table, row 3 and its neighbours: what a file was checked by, and what a server says of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable

import pytest

import argosy
from argosy_devkit import body_of
from hazards import failures, fault
from voyage import Voyage

SetSail = Callable[..., Voyage]
SIZE = 100_000
BODY = body_of("item-00001/part-01.bin", SIZE)
CUT = fault("cut", fraction=0.6, times=1)


def b64(name: str, body: bytes = BODY) -> str:
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


RIGHT = {
    "Repr-Digest": f"sha-256=:{b64('sha256')}:",
    "Content-Digest": f"sha-512=:{b64('sha512')}:",
    "Digest": f"SHA-256={b64('sha256')}",
    "Content-MD5": b64("md5"),
}
WRONG = {
    name: value.replace(b64(kind), b64(kind, b"other"))
    for (name, value), kind in zip(RIGHT.items(), ("sha256", "sha512", "sha256", "md5"), strict=True)
}


def verified(voyage: Voyage) -> str:
    """Download the one file, and return how far it was checked: as the report says it, and `status` too."""
    report = voyage.root / "report.json"
    done = voyage.run("--quiet", "--report", str(report))
    assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
    (item,) = json.loads(report.read_text("utf-8"))["items"]
    (file,) = item["files"]
    assert f"1 {file['verification']}" in voyage.argosy("status", str(voyage.library)).stdout
    return str(file["verification"])


@pytest.mark.torture(3)
@pytest.mark.parametrize("name", sorted(RIGHT))
@pytest.mark.parametrize("kind", ["no_length", None])
def test_a_digest_of_the_server_verifies(set_sail: SetSail, name: str, kind: str | None) -> None:
    faults = [fault(kind)] if kind else []
    voyage = set_sail(items=1, size=SIZE, digests=False, headers=[(name, RIGHT[name])], faults=faults)
    assert verified(voyage) == "verified"


@pytest.mark.torture(3)
@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_digest_of_the_server_that_differs(set_sail: SetSail, name: str) -> None:
    voyage = set_sail(items=1, size=SIZE, digests=False, headers=[(name, WRONG[name])], max_retries=1)
    report = argosy.download(voyage.file)
    assert (failures(report), report.retries) == ({"item-00001": "digest"}, 1)
    assert not (voyage.library / "item-00001").exists()


@pytest.mark.torture(3)
def test_the_manifest_has_the_last_word(set_sail: SetSail) -> None:
    headers = [("Repr-Digest", WRONG["Repr-Digest"])]
    assert verified(set_sail(items=1, size=SIZE, headers=headers)) == "verified"


@pytest.mark.torture(3)
@pytest.mark.parametrize(("kind", "found"), [("chunked", "unverified"), (None, "length only")])
def test_what_nobody_can_prove(set_sail: SetSail, kind: str | None, found: str) -> None:
    faults = [fault(kind)] if kind else []
    headers = [("Repr-Digest", "sha-256=:nonsense:"), ("Digest", "crc32c=AAAA")]
    assert verified(set_sail(items=1, size=SIZE, digests=False, headers=headers, faults=faults)) == found


@pytest.mark.torture(3)
def test_a_digest_of_the_whole_beside_a_part(set_sail: SetSail) -> None:
    """Repr-Digest speaks of the whole file in a 206, too (RFC 9530 section 3); and it proves it without validators."""
    headers = [("ETag", ""), ("Last-Modified", ""), ("Repr-Digest", RIGHT["Repr-Digest"])]
    voyage = set_sail(items=1, size=SIZE, digests=False, headers=headers, faults=[CUT])
    assert verified(voyage) == "verified"
    assert voyage.server.stats().bytes_sent < 1.1 * SIZE, "the part that was there came again"


@pytest.mark.torture(3)
@pytest.mark.parametrize(
    ("value", "retries"),
    [(f"sha-256=:{b64('sha256', BODY[60_000:])}:", 1), (RIGHT["Content-Digest"], 2)],
    ids=["right", "wrong"],
)
def test_a_digest_of_a_part(set_sail: SetSail, value: str, retries: int) -> None:
    """Content-Digest speaks of what this response brings alone (RFC 9530 section 2); where it differs, all starts again."""
    odd = fault("header", only=206, header="Content-Digest", value=value)
    voyage = set_sail(items=1, size=SIZE, digests=False, faults=[CUT, odd])
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.retries, voyage.wrong()) == (1, retries, [])


@pytest.mark.torture(3)
def test_content_md5_of_a_part_means_nothing(set_sail: SetSail) -> None:
    odd = fault("header", only=206, header="Content-MD5", value=WRONG["Content-MD5"])
    voyage = set_sail(items=1, size=SIZE, digests=False, faults=[CUT, odd])
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.retries, voyage.wrong()) == (1, 1, [])


def test_verify_finds_damage_and_lets_it_come_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=4, size=5000)
    assert voyage.run().returncode == 0
    sound = voyage.argosy("verify", str(voyage.library))
    assert (sound.returncode, sound.stdout) == (0, "")
    assert "4 files read" in sound.stderr
    first, second, third, _ = (voyage.library / e.name for e in voyage.expected)
    first.write_bytes(b"x" * 5000)
    second.write_bytes(b"")
    third.unlink()
    found = voyage.argosy("verify", str(voyage.library))
    assert found.returncode == 1
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [
        ["item-00001", "item-00001/part-01.bin"],
        ["item-00002", "item-00002/part-01.bin"],
        ["item-00003", "item-00003/part-01.bin"],
    ]
    voyage.server.reset_stats()
    assert voyage.argosy("verify", str(voyage.library), "--requeue").returncode == 1
    assert "failed     3" in voyage.argosy("status", str(voyage.library)).stdout
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])
    assert voyage.server.stats().requests_by_path.get(voyage.expected[3].path) is None
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0
