"""Several outputs in one run, and outputs that are added later: without a request, a login or a secret."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.state.ledger import Ledger
from voyage import Voyage

SetSail = Callable[..., Voyage]

MODIFIED = "Thu, 01 Jan 1970 00:01:40 GMT"


def right(path: Path, voyage: Voyage, item: str) -> bool:
    """Return whether an archive has the files of an item, and they are what they must be."""
    with zipfile.ZipFile(path) as archive:
        got = {f"{item}/{name}": archive.read(name) for name in archive.namelist()}
    names = [e.name for e in voyage.expected if e.name.startswith(f"{item}/")]
    return sorted(got) == sorted(names) and all(got[n] == (voyage.library / n).read_bytes() for n in names)


def without_session(voyage: Voyage) -> int:
    """Take the session away, so that a login would be seen; return how many requests the server has seen."""
    (voyage.root / "cookies.json").unlink()
    return voyage.server.stats().requests


def without_secrets(voyage: Voyage) -> int:
    """Take the session and the password away; return how many requests the server has seen."""
    (voyage.root / "password.txt").unlink()
    return without_session(voyage)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["configuration", "directory"])
def test_an_output_of_200_items_is_made_later_without_a_request(set_sail: SetSail, what: str) -> None:
    voyage = set_sail(items=200, resources_per_item=2, lease_mode="revoke", max_workers=4, size=3000)
    assert voyage.run("--quiet").returncode == 0
    seen = without_secrets(voyage)
    given = str(voyage.file if what == "configuration" else voyage.library)
    done = voyage.argosy("output", given, "--output", "zip", "--output", "cbz", "--output", "index")
    assert done.returncode == 0, done.stderr
    assert "200 of 200 items" in done.stderr
    assert voyage.server.stats().requests == seen
    ids = [f"item-{n:05}" for n in range(1, 201)]
    assert all(right(voyage.library / f"{i}{end}", voyage, i) for i in ids for end in (".zip", ".cbz"))
    assert len((voyage.library / "index.jsonl").read_text("utf-8").splitlines()) == 200
    again = voyage.argosy("output", given, "--output", "zip", "--quiet")
    assert (again.returncode, again.stderr, voyage.server.stats().requests) == (0, "", seen)
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0


def test_a_run_makes_what_its_configuration_got_since(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", max_workers=3, size=3000, output=["files"])
    assert voyage.run("--quiet").returncode == 0
    seen = without_session(voyage)
    voyage.config["output"] = ["files", "zip", {"use": "files", "layout": "{tag}/{id}/{name}"}]
    dry = voyage.run("--dry-run")
    assert (dry.returncode, "0 of 12 items to download" in dry.stderr) == (0, True)
    assert "outputs to make of 12 downloaded items" in dry.stderr
    assert "    zip: item-00001.zip" in dry.stdout.splitlines()
    assert not (voyage.library / "item-00001.zip").exists()
    assert voyage.run("--quiet").returncode == 0
    assert voyage.server.stats().requests == seen
    assert all(right(voyage.library / f"item-{n:05}.zip", voyage, f"item-{n:05}") for n in range(1, 13))
    one, other = (voyage.library / name for name in ("item-00001/part-01.bin", "odd/item-00001/part-01.bin"))
    assert one.stat().st_ino == other.stat().st_ino, "the same bytes take no room twice"


def test_what_is_not_there_any_more_is_listed_and_fetched_by_the_next_download(set_sail: SetSail) -> None:
    voyage = set_sail(items=5, resources_per_item=3, max_workers=2, size=3000)
    assert voyage.run("--quiet").returncode == 0
    gone, changed = (voyage.library / f"item-0000{n}" / "part-02.bin" for n in (2, 4))
    gone.unlink()
    changed.write_bytes(b"x" * 3000)
    report = voyage.root / "report.json"
    done = voyage.argosy("output", str(voyage.library), "--output", "zip", "--report", str(report))
    assert done.returncode == 1
    for name in ("item-00002/part-02.bin", "item-00004/part-02.bin"):
        assert f"are missing or were changed: {name};" in " ".join(done.stderr.split())
    value = json.loads(report.read_text("utf-8"))
    assert value["counts"] == {"items": 5, "done": 3, "skipped": 0, "failed": 2, "left": 0}
    assert {i["id"]: i["state"] for i in value["items"]}["item-00002"] == "failed"
    assert [f["failure"] if "failure" in f else f["kind"] for f in value["failures"]] == ["missing"] * 2
    assert sorted(p.name for p in voyage.library.glob("*.zip")) == [f"item-0000{n}.zip" for n in (1, 3, 5)]
    status = voyage.argosy("status", str(voyage.library)).stdout
    assert "done       5 items" in status
    assert "outputs    files 5, zip 3" in status
    assert "2 x missing" in status
    assert status.count("  item-") == 2
    assert changed.read_bytes() == b"x" * 3000, "nobody asked to have it replaced"
    before = voyage.server.stats().accepted
    voyage.config["output"] = ["files", "zip"]
    assert voyage.run("--quiet").returncode == 0
    assert voyage.server.stats().accepted == before + 2, "what is there is not fetched again"
    assert all(right(voyage.library / f"item-{n:05}.zip", voyage, f"item-{n:05}") for n in range(1, 6))
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0


def test_an_archive_gives_back_what_nobody_kept(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, resources_per_item=2, size=3000, output=["zip"])
    assert voyage.run("--quiet").returncode == 0
    seen = without_secrets(voyage)
    done = voyage.argosy("output", str(voyage.library), "--output", "files", "--quiet")
    assert (done.returncode, done.stderr, voyage.server.stats().requests) == (0, "", seen)
    assert voyage.damaged() == []
    assert all((voyage.library / e.name).is_file() for e in voyage.expected)
    for path in voyage.library.glob("*/*.bin"):
        path.unlink()
    (voyage.library / "item-00002.zip").write_bytes(b"no archive")
    done = voyage.argosy("output", str(voyage.library), "--output", "cbz")
    assert done.returncode == 1
    assert "item-00002" in done.stderr
    assert sorted(p.name for p in voyage.library.glob("*.cbz")) == ["item-00001.cbz", "item-00003.cbz"]


def test_what_no_output_can_give_back_is_said(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000, output=["files"])
    assert voyage.run("--quiet").returncode == 0
    with contextlib.closing(sqlite3.connect(voyage.library / ".argosy" / "ledger.sqlite")) as db:
        db.execute("UPDATE items SET files = '[]', outputs = '[\"elsewhere\"]'")
        db.commit()
    done = voyage.argosy("output", str(voyage.library), "--output", "zip")
    assert done.returncode == 1
    assert "Downloaded files are missing or were changed; `argosy download` fetches" in " ".join(done.stderr.split())


def test_names_that_outputs_ask_for_twice_are_found_before_the_first_request(set_sail: SetSail) -> None:
    for output in ({"use": "files", "layout": "{tag}/{name}"}, {"use": "zip", "layout": "{tag}"}):
        voyage = set_sail(items=4, output=[output])
        done = voyage.run()
        assert (done.returncode, voyage.server.stats().requests) == (4, 0)
        assert "books.jsonl:3" in done.stderr


def test_a_name_that_is_taken_by_another_output_fails_the_item_and_leaves_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, output=["files", {"use": "zip", "layout": "x"}, {"use": "index", "name": "x.zip"}])
    done = voyage.run()
    assert done.returncode == 1
    assert "x.zip already exists" in " ".join(done.stderr.split())
    assert not list(voyage.library.glob("*/*.bin"))


def test_files_have_the_times_that_the_server_says_and_an_index_tells_all(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=3,
        headers=[("Last-Modified", MODIFIED)],
        output=[
            {"use": "files", "sidecar": True},
            {"use": "index", "format": "csv", "name": "all/index.csv"},
        ],
    )
    assert voyage.run("--quiet").returncode == 0
    assert {(voyage.library / e.name).stat().st_mtime for e in voyage.expected} == {100.0}
    ledger = Ledger(voyage.library, read_only=True)
    known = ledger.remembered("item-00001")
    ledger.close()
    assert known is not None
    response = known.files[0][3]
    assert response is not None
    assert (response.status, response.get("last-modified"), response.get("set-cookie")) == (
        200,
        MODIFIED,
        None,
    )
    with (voyage.library / "all" / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"item-0000{n}" for n in (1, 2, 3)]
    names = [file["name"] for file in json.loads(rows[0]["files"])]
    assert names == ["item-00001/part-01.bin", "item-00001/metadata.json"]
    (voyage.library / "all" / "index.csv").unlink()
    assert voyage.run("--quiet").returncode == 0
    assert (voyage.library / "all" / "index.csv").exists(), "it is made anew, though nothing is to be done"


def test_a_later_output_does_not_take_the_place_of_another_one_s_file(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000, output=["files"])
    manifest = voyage.root / "books.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace('"path": "part-01.bin"', '"path": "all.zip"'), "utf-8")
    assert voyage.run("--quiet").returncode == 0
    before = (voyage.library / "item-00001" / "all.zip").read_bytes()
    packed = {"use": "zip", "layout": "{id}/all"}
    outputs: tuple[tuple[list[Any], int, str], ...] = (
        ([packed], 1, "all.zip already exists"),
        (["files", packed], 4, "the outputs 'files' and 'zip' want the name 'item-00001/all.zip'"),
    )
    for output, code, words in outputs:
        voyage.config["output"] = output
        for done in (voyage.argosy("output", str(voyage.file)), voyage.run()):
            assert (done.returncode, words in " ".join(done.stderr.split())) == (code, True), done.stderr
            assert (voyage.library / "item-00001" / "all.zip").read_bytes() == before


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (["files", {"use": "zip", "layout": "{id}/all"}], "the outputs 'files' and 'zip' want the name"),
        (["zip", {"use": "zip", "compression": "store"}], "the outputs 'zip' and 'zip' want the name"),
    ],
)
def test_two_outputs_that_want_one_name_are_found_before_the_first_request(
    set_sail: SetSail, outputs: list[Any], words: str
) -> None:
    voyage = set_sail(items=2, size=3000, output=outputs)
    manifest = voyage.root / "books.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace("part-01.bin", "all.zip"), "utf-8")
    for command in (["--dry-run"], ["--quiet"]):
        done = voyage.run(*command)
        assert (done.returncode, words in " ".join(done.stderr.split())) == (4, True), done.stderr
    assert voyage.server.stats().requests == 0


def test_several_outputs_may_want_a_file_under_one_name(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, output=["files", {"use": "files", "sidecar": True}])
    assert voyage.run("--quiet").returncode == 0
    assert (voyage.library / "item-00001" / "metadata.json").is_file()
    assert voyage.damaged() == []


def test_a_file_that_is_not_argosy_s_is_no_index(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, output=["files", "index"])
    voyage.library.mkdir()
    (voyage.library / "index.jsonl").write_text("mine")
    done = voyage.run()
    assert (done.returncode, voyage.server.stats().requests) == (5, 0)
    assert "index.jsonl already exists" in " ".join(done.stderr.split())
    assert (voyage.library / "index.jsonl").read_text() == "mine"


def test_verify_looks_at_the_files_of_all_outputs(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, output=["files", "zip", "index"])
    assert voyage.run("--quiet").returncode == 0
    size = (voyage.library / "index.jsonl").stat().st_size
    (voyage.library / "index.jsonl").write_bytes(b"x" * size)
    (voyage.library / "item-00002.zip").write_bytes(b"x")
    done = voyage.argosy("verify", str(voyage.library), "--requeue")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    before = voyage.server.stats().requests
    assert voyage.run("--quiet").returncode == 0
    assert voyage.server.stats().requests - before <= 1, "a login, but no file"
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0
    assert right(voyage.library / "item-00002.zip", voyage, "item-00002")


def test_old_names_may_be_removed(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000)
    assert voyage.run("--quiet").returncode == 0
    seen = without_session(voyage)
    voyage.config["output"] = [{"use": "files", "layout": "{title}/{path}"}]
    assert voyage.run("--quiet").returncode == 0
    for number in (1, 2):
        shutil.rmtree(voyage.library / f"item-0000{number}")
    assert voyage.run("--quiet").returncode == 0
    assert voyage.argosy("verify", str(voyage.library), "--requeue").returncode == 1
    assert voyage.server.stats().requests == seen
    assert voyage.run("--quiet").returncode == 0
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0
    files = {path: n for path, n in voyage.server.stats().requests_by_path.items() if path.startswith("/files/")}
    assert list(files.values()) == [1, 1], "nothing was fetched again"


@pytest.mark.torture(87)
@pytest.mark.parametrize("in_place", [False, True], ids=["a copy", "with the download"])
def test_what_another_configuration_made_is_repaired(set_sail: SetSail, in_place: bool) -> None:
    """Files of another layout are further names of the downloaded ones: written in place, both are damaged."""
    voyage = set_sail(items=2, size=3000, output=["files"])
    assert voyage.run("--quiet").returncode == 0
    other = voyage.root / "b.json"
    layout = {"use": "files", "layout": "b/{title}/{path}"}
    other.write_text(json.dumps({**voyage.config, "output": [layout, "zip"]}), "utf-8")
    assert voyage.argosy("output", str(other), "--quiet").returncode == 0
    for path in (voyage.library / "b" / "Item 1" / "part-01.bin", voyage.library / "item-00001.zip"):
        if not in_place:
            path.unlink()
        path.write_bytes(b"x" * 3000)
    (voyage.library / "b" / "Item 2" / "part-01.bin").unlink()
    found = voyage.argosy("verify", str(voyage.file), "--requeue")
    assert (found.returncode, len(found.stdout.splitlines())) == (1, 4 if in_place else 3)
    said = " ".join(found.stderr.split())
    assert ("The next run repairs them." in said) == in_place
    assert re.search(r"does not make the outputs files#\w+, zip\. To repair .* run `argosy output`", said)
    shown = voyage.argosy("status", str(voyage.library)).stdout
    assert "failed     2" in shown
    voyage.server.reset_stats()
    assert voyage.run("--quiet").returncode == 0
    requests = voyage.server.stats().requests_by_path
    assert [path for path in requests if path.startswith("/files/")] == [voyage.expected[0].path] * in_place
    repaired = voyage.argosy("output", str(other), "--quiet")
    assert (repaired.returncode, repaired.stderr) == (0, "")
    sound = voyage.argosy("verify", str(voyage.file))
    assert (sound.returncode, sound.stdout) == (0, "")
    assert voyage.library.joinpath("b", "Item 2", "part-01.bin").exists()
    assert right(voyage.library / "item-00001.zip", voyage, "item-00001")
    assert "failed" not in voyage.argosy("status", str(voyage.library)).stdout


@pytest.mark.torture(87)
def test_force_keeps_what_other_outputs_made(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000, output=["files"])
    assert voyage.run("--quiet").returncode == 0
    voyage.config["output"] = ["zip", "cbz", {"use": "files", "layout": "b/{title}/{path}"}]
    assert voyage.argosy("output", str(voyage.file), "--quiet").returncode == 0
    voyage.config["output"] = ["files"]

    def outputs() -> list[str]:
        shown = voyage.argosy("status", str(voyage.library)).stdout
        return [line for line in shown.splitlines() if line.startswith(("outputs", "files"))]

    before = outputs()
    assert re.fullmatch(r"outputs +cbz 2, files 2, files#\w+ 2, zip 2", before[-1])
    voyage.server.reset_stats()
    assert voyage.run("--quiet", "--force").returncode == 0
    fetched = [p for p in voyage.server.stats().requests_by_path if p.startswith("/files/")]
    assert (outputs(), len(fetched)) == (before, 2)
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0


@pytest.mark.torture(87)
def test_what_another_output_made_of_an_older_version_may_be_replaced(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, size=3000, output=["files", {"use": "zip", "sidecar": True}])
    assert voyage.run("--quiet").returncode == 0
    both, voyage.config["output"] = voyage.config["output"], ["files"]
    manifest = voyage.root / "books.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace("Item 1", "Another title"), "utf-8")
    assert voyage.run("--quiet").returncode == 0
    voyage.config["output"] = both
    again = voyage.argosy("output", str(voyage.file), "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    with zipfile.ZipFile(voyage.library / "item-00001.zip") as archive:
        assert b"Another title" in archive.read("metadata.json")


def test_other_options_are_another_output(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, size=3000, output=["files", "zip", "index"])
    assert voyage.run("--quiet").returncode == 0
    voyage.config["output"] = [
        "files",
        {"use": "zip", "layout": "{title}"},
        {"use": "index", "format": "csv"},
    ]
    assert voyage.run("--quiet").returncode == 0
    assert (voyage.library / "Item 1.zip").read_bytes() == (voyage.library / "item-00001.zip").read_bytes()
    assert (voyage.library / "index.csv").exists()
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0


def test_a_damaged_session_store_is_nobody_s_business(set_sail: SetSail) -> None:
    """Nothing of the service is looked at, so nothing that is wrong with it is in the way."""
    voyage = set_sail(items=2)
    assert voyage.run("--quiet").returncode == 0
    voyage.server.stop()
    (voyage.root / "cookies.json").write_text("{")
    (voyage.root / "books.jsonl").unlink()
    voyage.config["auth"]["fields"]["password"] = {"env": "NOBODY_HAS_SET_THIS"}
    done = voyage.argosy("output", str(voyage.file), "--output", "zip", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{root}/elsewhere", "--output", "zip"], 2, "elsewhere"),
        (["{root}", "--output", "zip"], 2, "Nothing was downloaded"),
        (["{library}"], 2, "add --output"),
        (["{library}", "--output", "zipp"], 2, "zip"),
        (["{library}", "--output", "zip", "--tags", "none"], 2, "none of"),
    ],
)
def test_what_cannot_be_done_is_said(set_sail: SetSail, arguments: list[str], code: int, words: str) -> None:
    voyage = set_sail(items=1)
    assert voyage.run("--quiet").returncode == 0
    given = [a.format(root=voyage.root, library=voyage.library) for a in arguments]
    done = voyage.argosy("output", *given)
    assert (done.returncode, words.lower() in done.stderr.lower(), "Traceback" in done.stderr) == (
        code,
        True,
        False,
    )


def test_from_python(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    argosy.download(voyage.file)
    report = argosy.remake({"directory": str(voyage.library), "output": ["cbz"]})
    assert (report.counts.done, report.requests, report.logins) == (2, 0, 0)
    shutil.rmtree(voyage.library / "item-00001")
    report = argosy.remake({"directory": str(voyage.library), "output": ["zip"]})
    assert (report.counts.done, report.exit_code) == (2, 0), "the other archive gives it back"
