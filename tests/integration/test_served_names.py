"""Files that are called what their server calls them (`Content-Disposition`), where the source asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import argosy
import processes
import warm
from argosy_devkit import Fault, LibraryServer
from voyage import Voyage, run_urls


def called(path: str, name: str, **options: Any) -> Fault:
    """Return what makes the server call a file something."""
    return Fault(
        "header",
        path=path,
        header="Content-Disposition",
        value=f'attachment; filename="{name}"',
        **options,
    )


def served(root: Path, *urls: str, **options: Any) -> Voyage:
    voyage = run_urls(root, *urls, max_retries=2, retry_delay=0.01, **options)
    voyage.config["source"]["content_disposition"] = True
    return voyage


def files(voyage: Voyage) -> dict[str, int]:
    """Return the files of a target directory, with their sizes."""
    found = [p for p in voyage.library.rglob("*") if p.is_file() and ".argosy" not in p.parts]
    return {str(path.relative_to(voyage.library)): path.stat().st_size for path in found}


def test_on_the_command_line(tmp_path: Path, library_server: Any) -> None:
    server: LibraryServer = library_server(lease_mode="open", faults=[called("/files/7", "Moby Dick.pdf")])
    urls = [server.url_for("/files/7?size=70"), server.url_for("/files/8.bin?size=80")]
    command = ["download", *urls, "--directory", "library", "--quiet"]
    for arguments, names in (
        ([], {"7", "8.bin"}),
        (["--content-disposition"], {"7", "8.bin", "Moby Dick.pdf"}),
    ):
        done = warm.run(*command, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert {p.name for p in (tmp_path / "library").iterdir()} == {".argosy", *names}


@pytest.mark.parametrize(
    "strategy",
    [
        "threads",
        pytest.param(
            {"use": "multiprocess", "processes": 3},
            marks=pytest.mark.skipif(not processes.CAN_LOOK, reason="needs POSIX"),
            id="processes",
        ),
    ],
)
def test_forty_files_of_one_name(tmp_path: Path, library_server: Any, strategy: Any) -> None:
    server: LibraryServer = library_server(lease_mode="open", faults=[called("/files/", "Book.PDF")])
    urls = [server.url_for(f"/files/get?size={number}") for number in range(100, 140)]
    voyage = served(tmp_path, *urls, strategy=strategy, max_workers=6)
    report = argosy.download(voyage.file)
    found = files(voyage)
    assert (report.counts.done, sorted(found.values())) == (40, list(range(100, 140)))
    assert "Book.PDF" in found
    assert all(name.startswith("Book") and name.endswith(".PDF") for name in found)
    requests = server.stats().requests
    again = argosy.download(voyage.file)
    assert (again.counts.skipped, server.stats().requests) == (40, requests)
    for name in found:
        (voyage.library / name).unlink()
    argosy.download(voyage.file)
    assert files(voyage) == found, "each has its own name again"


def test_what_stands_there_is_left_alone(tmp_path: Path, library_server: Any) -> None:
    server: LibraryServer = library_server(lease_mode="open", faults=[called("/files/", "mine.txt")])
    voyage = served(tmp_path, server.url_for("/files/get?size=9"))
    voyage.library.mkdir()
    (voyage.library / "mine.txt").write_text("mine")
    assert argosy.download(voyage.file).counts.done == 1
    assert (voyage.library / "mine.txt").read_text() == "mine"
    assert sorted(files(voyage).values()) == [4, 9]


@pytest.mark.torture(52)
@pytest.mark.parametrize(
    "name", ["../../outside.txt", "/etc/outside.txt", "..\\\\outside.txt", "CON", ".argosy", "x\u202etxt.exe"]
)
def test_a_name_that_leads_astray(tmp_path: Path, library_server: Any, name: str) -> None:
    text = name.encode().decode("latin-1")  # as it goes over the wire
    server: LibraryServer = library_server(lease_mode="open", faults=[called("/files/", text)])
    voyage = served(tmp_path, server.url_for("/files/get?size=9"))
    assert argosy.download(voyage.file).counts.done == 1
    assert list(files(voyage).values()) == [9]
    assert [p for p in tmp_path.rglob("*outside*") if voyage.library not in p.parents] == []
    (found,) = files(voyage)
    assert found not in {"CON", ".argosy"}
    assert "\u202e" not in found


def test_a_file_that_is_gone_on_with_keeps_its_name(tmp_path: Path, library_server: Any) -> None:
    faults = [
        Fault("cut", path="/files/", times=1, fraction=0.6),
        Fault("header", path="/files/", header="Content-Disposition", only=206),
    ]
    named = ("Content-Disposition", 'attachment; filename="long.bin"')
    server: LibraryServer = library_server(lease_mode="open", faults=faults, headers=[named])
    voyage = served(tmp_path, server.url_for("/files/get?size=3000000"))
    assert argosy.download(voyage.file).counts.done == 1
    assert (files(voyage), server.stats().requests) == ({"long.bin": 3_000_000}, 2)


def test_a_file_of_an_item_that_failed_keeps_its_name(tmp_path: Path, library_server: Any) -> None:
    faults = [
        called("/files/one", "first.bin", first=1),
        Fault("status", path="/files/two", status=404, first=1),
    ]
    server: LibraryServer = library_server(lease_mode="open", faults=faults)
    voyage = run_urls(tmp_path)
    entry = {
        "id": "pair",
        "resources": [
            {"url": server.url_for("/files/one?size=11")},
            {"url": server.url_for("/files/two?size=12")},
            {"url": server.url_for("/files/one?size=13"), "path": "asked-for.bin"},
        ],
    }
    (tmp_path / "books.jsonl").write_text(json.dumps(entry) + "\n")
    voyage.config["source"] = {"use": "manifest", "path": "books.jsonl", "content_disposition": True}
    assert argosy.download(voyage.file).counts.failed == 1
    assert argosy.download(voyage.file).counts.done == 1
    assert files(voyage) == {"pair/first.bin": 11, "pair/two": 12, "pair/asked-for.bin": 13}
    assert server.stats().requests == 4, "the first was not asked for again"
