"""The torture table, section configuration and manifest: what people write, and what is said to them."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy_devkit import sha256_of
from memory import peak_of
from voyage import Voyage

SetSail = Callable[..., Voyage]


def ended(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check how a run ended, and that it says so in plain words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug in argosy" not in done.stderr
    for word in words:
        assert word in done.stderr


def untouched(voyage: Voyage) -> bool:
    """Return whether no request was sent and nothing stands under a final name."""
    final = [p for p in voyage.library.rglob("*") if p.is_file() and ".argosy" not in p.parts]
    return voyage.server.stats().requests == 0 and final == []


@pytest.mark.torture(50)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_worker": 3}, ["max_worker", 'did you mean "max_workers"']),
        ({"max_workers": "four"}, ["max_workers", "four", "whole number"]),
        ({"cookie_store": "jsonfile"}, ["cookie_store", "jsonfile", 'did you mean "json-file"']),
        ({"strategy": {"use": "thread"}}, ["strategy", "thread", 'did you mean "threads"']),
        (
            {"output": [{"use": "files", "sidecars": True}]},
            ["output[0]", "sidecars", 'did you mean "sidecar"'],
        ),
        ({"auth": None}, ["auth", "null"]),
        ({"directory": 7, "tags": 3, "lease": "some"}, ["directory", "tags", "lease", "exclusive"]),
    ],
)
def test_a_wrong_configuration(set_sail: SetSail, change: dict[str, Any], words: list[str]) -> None:
    voyage = set_sail(items=1)
    voyage.config |= change
    done = voyage.run()
    ended(done, 2, "argosy.json", *[word.replace('"', "") for word in words if "did you mean" not in word])
    for word in words:
        assert word.replace('"', "").replace("'", "") in done.stderr.replace('"', "").replace("'", "")
    assert untouched(voyage)


@pytest.mark.torture(50)
@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1, "a": 2}', "\ufeff{", "nul"])
def test_a_configuration_that_is_none(set_sail: SetSail, text: str) -> None:
    voyage = set_sail(items=1)
    path = voyage.root / "broken.json"
    path.write_text(text, "utf-8")
    ended(voyage.argosy("download", str(path)), 2, "broken.json")


@pytest.mark.torture(51)
@pytest.mark.parametrize("workers", ["0", "1000000"])
def test_a_number_of_workers_that_cannot_be(set_sail: SetSail, workers: str) -> None:
    voyage = set_sail(items=1)
    ended(voyage.run("--max-workers", workers), 2, "max_workers", "command line")
    voyage.config["max_workers"] = int(workers)
    ended(voyage.run(), 2, "max_workers", "argosy.json")
    assert untouched(voyage)


ASTRAY = [
    "../x",
    "/etc/x",
    "a/../../x",
    "a\0b",
    "CON",
    "sub/nul.txt",
    "\x1b[31mred",
    "a\u202egpj.exe",
    "a\\b",
    "C:x",
]
ASTRAY += [".argosy/ledger.sqlite", "a//b", "a/", ".", "trailing.", "\ud800", "n" * 256]


@pytest.mark.torture(52)
def test_paths_that_lead_astray(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    with (voyage.root / "books.jsonl").open("a", encoding="utf-8") as manifest:
        for path in ASTRAY:
            entry = {"url": voyage.server.url_for("/files/x?size=5"), "path": path}
            manifest.write(json.dumps(entry) + "\n")
    done = voyage.run()
    ended(done, 4, *(f"books.jsonl:{number}:" for number in range(3, 3 + len(ASTRAY))))
    assert "books.jsonl:2" not in done.stderr.replace("books.jsonl:20", "")
    assert "\x1b[31m" not in done.stderr
    assert "\u202e" not in done.stderr
    assert untouched(voyage)


@pytest.mark.torture(52)
def test_names_of_urls_and_ids_are_made_safe(set_sail: SetSail) -> None:
    voyage = set_sail(items=1)
    url = voyage.server.url_for
    entries = [
        {"url": url("/files/..%2f..%2fescape?size=3")},
        {"url": url("/files/%1b%5b31mred%e2%80%ae?size=3")},
        {"url": url("/files/CON?size=3")},
        {"id": "../../up", "resources": [{"url": url("/files/a?size=3"), "path": "in"}]},
    ]
    (voyage.root / "books.jsonl").write_text("\n".join(map(json.dumps, entries)), "utf-8")
    ended(voyage.run(), 0)
    names = [str(p.relative_to(voyage.library)) for p in voyage.library.rglob("*") if ".argosy" not in p.parts]
    assert len([name for name in names if (voyage.library / name).is_file()]) == 4
    assert all(name.isprintable() and ".." not in name.split("/") for name in names)
    assert {p.name for p in voyage.root.iterdir() if "escape" in p.name or p.name == "up"} == set()


BAD_MANIFESTS = {
    "id twice": (b'{"id":"a","url":"http://h/1"}\n{"id":"a","url":"http://h/2"}\n', "m.jsonl:2"),
    "path twice": (b'{"url":"http://h/1","path":"p"}\n{"url":"http://h/2","path":"p"}\n', "m.jsonl:2"),
    "not UTF-8": (b'{"url":"http://h/1"}\n{"url":"http://h/\xff"}\n', "m.jsonl:2"),
    "UTF-16": ('{"url":"http://h/1"}\n'.encode("utf-16"), "m.jsonl:1"),
    "not JSON": (b'{"url":"http://h/1"}\n\n{"url":\n', "m.jsonl:3"),
    "unknown key": (b'{"url":"http://h/1","sise":4}\n', "size"),
    "negative size": (b'{"url":"http://h/1","size":-4}\n', "m.jsonl:1"),
    "short digest": (b'{"url":"http://h/1","sha256":"abc"}\n', "m.jsonl:1"),
    "nested": (b"[" * 100_000 + b"\n", "m.jsonl:1"),
    "missing": (None, "m.jsonl"),
}  # fmt: skip


@pytest.mark.torture(53)
@pytest.mark.parametrize("what", BAD_MANIFESTS)
def test_a_wrong_manifest(set_sail: SetSail, what: str) -> None:
    data, words = BAD_MANIFESTS[what]
    voyage = set_sail(items=1)
    voyage.config["source"]["path"] = "m.jsonl"
    if data is not None:
        (voyage.root / "m.jsonl").write_bytes(data)
    ended(voyage.run(), 4, words)
    assert untouched(voyage)


@pytest.mark.torture(53)
def test_a_byte_order_mark_is_no_fault(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    manifest = voyage.root / "books.jsonl"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    ended(voyage.run(), 0)
    assert voyage.wrong() == []


@pytest.mark.slow
@pytest.mark.torture(53)
def test_memory_is_flat_whatever_the_manifest(tmp_path: Path) -> None:
    peaks = []
    for lines in (2_000, 30_000):
        with (tmp_path / f"{lines}.jsonl").open("w", encoding="utf-8") as manifest:
            manifest.writelines(f'{{"url": "http://127.0.0.1:9/{n}"}}\n' for n in range(lines))
        config = {"source": {"use": "manifest", "path": f"{lines}.jsonl"}, "directory": f"d{lines}"}
        (tmp_path / f"{lines}.json").write_text(json.dumps(config), "utf-8")
        peaks.append(peak_of("download", str(tmp_path / f"{lines}.json"), "--dry-run"))
    assert peaks[1] - peaks[0] < 10_000


REFUSED = [
    "file:///etc/passwd",
    "http://ada:hunter2@127.0.0.1/x",
    "http://127.0.0.1/x\r\nCookie: token=hunter2",
]
REFUSED += ["ftp://ada:hunter2@h/x", "http:\\\\127.0.0.1\\x", "http://127.0.0.1:99999/x"]


@pytest.mark.torture(54)
def test_urls_that_are_refused(set_sail: SetSail) -> None:
    voyage = set_sail(items=1)
    with (voyage.root / "books.jsonl").open("a", encoding="utf-8") as manifest:
        manifest.writelines(json.dumps({"url": url}) + "\n" for url in REFUSED)
    done = voyage.run()
    ended(done, 4, *(f"books.jsonl:{number}:" for number in range(2, 2 + len(REFUSED))))
    given = voyage.run(*(url for url in REFUSED if "://" in url))
    ended(given, 4, *(f"entry {number}:" for number in range(1, 6)))
    for text in (done.stdout, done.stderr, given.stdout, given.stderr):
        assert "hunter2" not in text
    assert untouched(voyage)


def signed(voyage: Voyage, signature: str) -> None:
    """Sign the URLs of a manifest, as a service does that gives them out for an hour."""
    manifest = voyage.root / "books.jsonl"
    text = re.sub(r"&v=\w+", "", manifest.read_text("utf-8"))
    manifest.write_text(re.sub(r"(\?size=\d+)", rf"\1&v={signature}", text), "utf-8")


def fetched(voyage: Voyage) -> int:
    """Return how many files were asked for since the last look."""
    paths = [path for path in voyage.server.stats().requests_by_path if path.startswith("/files/")]
    voyage.server.reset_stats()
    return len(paths)


@pytest.mark.torture(88)
@pytest.mark.parametrize(("digests", "ignore_query"), [(True, False), (False, True), (False, False)])
def test_urls_that_are_signed_anew(set_sail: SetSail, digests: bool, ignore_query: bool) -> None:
    voyage = set_sail(items=3, size=1000, digests=digests)
    voyage.config["source"]["ignore_query"] = ignore_query
    signed(voyage, "monday")
    ended(voyage.run(), 0)
    assert fetched(voyage) == 3
    signed(voyage, "tuesday")
    ended(voyage.run(), 0)
    assert (fetched(voyage), voyage.wrong()) == (0 if digests or ignore_query else 3, [])
    if digests:  # what is missing is fetched by the new URL, and a new digest is another file
        (voyage.library / voyage.expected[0].name).unlink()
        ended(voyage.run(), 0)
        assert (fetched(voyage), voyage.wrong()) == (1, [])


@pytest.mark.torture(88)
def test_what_waits_in_the_queue_gets_the_new_signature(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=1000, digests=True)
    signed(voyage, "monday")
    ledger_of(voyage, "pending")
    signed(voyage, "tuesday")
    urls: list[str] = []
    report = argosy.download(voyage.file, lambda e: urls.append(e.data.get("url", "")))
    assert (report.counts.done, report.error) == (2, None)
    shown = [url for url in urls if "/files/" in url]
    assert shown
    assert all("monday" not in url for url in shown)


def ledger_of(voyage: Voyage, state: str) -> None:
    """Leave the items in a state as a run that was stopped leaves them."""
    config = {**voyage.config, "auth": {"use": "none"}, "max_retries": 0}
    stopped = voyage.root / "stopped.json"
    stopped.write_text(json.dumps(config), "utf-8")
    voyage.argosy("download", str(stopped), "--quiet")
    with contextlib.closing(sqlite3.connect(voyage.library / ".argosy" / "ledger.sqlite")) as db:
        assert db.execute("UPDATE items SET state = ? WHERE item IS NOT NULL", (state,)).rowcount == 2
        db.commit()


@pytest.mark.torture(55)
def test_the_manifest_changed_between_runs(set_sail: SetSail) -> None:
    voyage = set_sail(items=6, max_workers=2)
    ended(voyage.run(), 0)
    manifest = voyage.root / "books.jsonl"
    lines = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    changed, removed = lines[1], lines[5]
    key, size = changed["resources"][0]["url"].partition("/files/")[2].partition("?")[0], 777
    changed["resources"][0] |= {
        "url": voyage.server.url_for(f"/files/{key}?size={size}"),
        "size": size,
        "sha256": sha256_of(key, size),
    }
    new = {"id": "new", "resources": [{"url": voyage.server.url_for("/files/new?size=9"), "path": "n"}]}
    manifest.write_text("\n".join(map(json.dumps, [*lines[:5], new])), "utf-8")
    voyage.server.reset_stats()
    ended(voyage.run(), 0)
    asked = {path for path in voyage.server.stats().requests_by_path if path.startswith("/files/")}
    assert asked == {f"/files/{key}", "/files/new"}
    assert (voyage.library / key).stat().st_size == size
    assert (voyage.library / removed["id"]).is_dir(), "what is no longer in the manifest is kept"
