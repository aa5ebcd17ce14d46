"""What ``--match`` and ``--limit`` take, and that the rest is only left out."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.cli import main
from argosy.cli.selection import condition
from argosy.models.items import Item, Resource

ITEM = Item(
    "b-7",
    "Aurora",
    (Resource("https://library.example/a.pdf", "a.pdf"),),
    ("Novel", "old"),
    {"author": {"name": "Ann"}, "year": 1971, "free": True, "keys": ["x", "y"], "title": "other", "a.b": "dotted"},
    "shelf",
)


@pytest.mark.parametrize(
    "text",
    [
        "id=b-7",
        "id~^b",
        "title~^A",
        "title~(?i)^aur",
        "title!=Zebra",
        "title!~^Z",
        "url~library[.]example",
        "path=shelf/a.pdf",
        "tag=Novel",
        "author.name=Ann",
        "year=1971",
        "free=true",
        "keys=y",
        "metadata.title=other",
        "a.b=dotted",
        "missing!=x",
        "title~",
        "title~A=u|A",
    ],
)
def test_a_condition_holds(text: str) -> None:
    assert condition(text).holds(ITEM)


@pytest.mark.parametrize("text", ["id=b", "title~^U", "title!~A", "tag=novel", "author=Ann", "missing=", "free=True"])
def test_a_condition_does_not_hold(text: str) -> None:
    assert not condition(text).holds(ITEM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title", "FIELD=TEXT nor FIELD~REGEX, such as title~^A"),
        ("=A", "FIELD=TEXT nor FIELD~REGEX"),
        (" ~A", "FIELD=TEXT nor FIELD~REGEX"),
        ("", "FIELD=TEXT nor FIELD~REGEX"),
        ("title~(", "The regular expression '(' is not valid: missing ), unterminated subpattern at position 0."),
        ("title~a{99999999999}", "is not valid"),
    ],
)
def test_what_is_no_condition(text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "books.jsonl").touch()
    assert main(["download", str(tmp_path / "books.jsonl"), "--match", text]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A manifest of six books; one of them is missing at the server."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    titles = ["Aurora", "Beowulf", "Alice", "Candide", "Aeneid", "Dune"]
    for number, _ in enumerate(titles):
        (folder / f"{number}.bin").write_bytes(b"book %d" % number)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        lines = [
            {
                "id": f"b{number}",
                "title": title,
                "resources": [{"url": f"{address}/{number}.bin", "path": f"{title}.bin"}],
            }
            for number, title in enumerate(titles)
        ]
        (tmp_path / "books.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        yield tmp_path
        server.shutdown()
        thread.join()


def _there(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "library").rglob("*.bin") if ".argosy" not in path.parts)


def _run(*words: str) -> int:
    return main(["download", "books.jsonl", "--directory", "library", *words])


def test_limit_counts_what_is_not_done(books: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--limit", "2", "--output", "files", "--output", "index") == 0
    assert _there(books) == ["Aurora.bin", "Beowulf.bin"]
    said = capsys.readouterr().err
    assert "2 of 2 items" in said
    assert "left out" in said
    assert "4 of 6 items (--limit 2)" in said
    assert _run("--limit", "3", "--dry-run", "--output", "files", "--output", "index") == 0
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines() if line.startswith("b")] == [
        "Alice",
        "Candide",
        "Aeneid",
    ]
    assert shown.err == "3 of 5 items to download, 2 already done, left out: 1 of 6 items (--limit 3).\n"
    assert _run("--limit", "3", "--output", "files", "--output", "index") == 0
    assert len(_there(books)) == 5
    # an output of all items has those of the first run, too
    assert len((books / "library" / "index.jsonl").read_text("utf-8").splitlines()) == 5
    capsys.readouterr()
    assert main(["status", "library"]) == 0
    assert "Dune" not in capsys.readouterr().out
    assert main(["verify", "library"]) == 0


def test_match_leaves_the_rest_alone(books: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (books / "site" / "3.bin").unlink()
    assert _run() == 1
    capsys.readouterr()
    (books / "site" / "3.bin").write_bytes(b"book 3")
    (books / "library" / "b0" / "Aurora.bin").unlink()
    # neither the failed item nor the deleted file is one of these
    assert _run("--match", "title~^B", "--match", "id=b1") == 0
    said = capsys.readouterr().err
    assert "Nothing to do: 1 item is up to date" in said
    assert "Left out: 5 of 6 items (--match title~^B, --match id=b1)." in said
    assert main(["status", "--failed", "library"]) in (0, 1)
    assert "Candide" in capsys.readouterr().out
    assert not (books / "library" / "b0" / "Aurora.bin").exists()
    assert _run() == 0
    assert len(_there(books)) == 6


def test_a_report_of_a_limited_run_fails_for_no_other_item(books: Path) -> None:
    assert _run("--limit", "1", "--match", "title!~^A", "--report", "report.json", "-q") == 0
    report = json.loads((books / "report.json").read_text("utf-8"))
    assert (report["counts"]["items"], report["counts"]["done"], report["counts"]["failed"]) == (1, 1, 0)
    assert _there(books) == ["Beowulf.bin"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("titel~^A", "No item has a field 'titel'; they have: id, title, url, path, tag."),
        ("title=a", "Try it with --dry-run."),
    ],
)
def test_no_match_is_an_error(books: Path, capsys: pytest.CaptureFixture[str], wanted: str, hint: str) -> None:
    assert _run("--match", wanted) == 2
    said = capsys.readouterr().err
    assert f"None of the 6 items matches {wanted!r}." in said
    assert hint in said
    assert _there(books) == []


def test_limit_wants_a_positive_number(books: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--limit", "0") == 2
    assert "--limit" in capsys.readouterr().err
