"""Several outputs, killed at any moment, started twice, on a full disk: nothing is half, and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.state.ledger import Ledger
from voyage import Voyage

SetSail = Callable[..., Voyage]

#: How many times a run is killed; about half a second each.
KILLS = int(os.environ.get("ARGOSY_TEST_KILLS", "25")) // 3 + 1

OUTPUTS = ["files", "zip", "cbz", "index"]


def half(voyage: Voyage) -> list[str]:
    """Return what stands under a final name and is not whole."""
    broken = voyage.damaged()
    for path in (*voyage.library.glob("*.zip"), *voyage.library.glob("*.cbz")):
        try:
            with zipfile.ZipFile(path) as archive:
                broken += [f"{path.name}: {name}" for name in [archive.testzip()] if name is not None]
        except zipfile.BadZipFile:
            broken.append(path.name)
    for line in lines(voyage):
        json.loads(line)
    return broken


def lines(voyage: Voyage) -> list[str]:
    path = voyage.library / "index.jsonl"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def ids(voyage: Voyage) -> list[str]:
    return [json.loads(line)["id"] for line in lines(voyage)]


def complete(voyage: Voyage, items: int) -> bool:
    names = [f"item-{n:05}" for n in range(1, items + 1)]
    there = all((voyage.library / f"{name}{end}").is_file() for name in names for end in (".zip", ".cbz"))
    return there and ids(voyage) == names and half(voyage) == []


@pytest.mark.slow
@pytest.mark.torture(47)
@pytest.mark.timeout(60 + 15 * KILLS)
def test_killed_between_outputs(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, resources_per_item=2, size=30_000, max_workers=4, lease_mode="revoke")
    assert voyage.run("--quiet").returncode == 0
    seen = voyage.server.stats().requests
    dice = random.Random()
    voyage.config["output"] = OUTPUTS
    kills = 0
    while kills < KILLS:
        command = ["output", str(voyage.file)] if kills % 2 else ["download", str(voyage.file)]
        process = subprocess.Popen([sys.executable, "-m", "argosy", *command, "--quiet"])
        time.sleep(dice.uniform(0.3, 1.6))
        process.kill()
        kills += 1
        if process.wait() == 0:
            assert complete(voyage, 30)
            for path in [*voyage.library.glob("*.zip"), *voyage.library.glob("index*")]:
                path.unlink()
        assert half(voyage) == []
    assert voyage.run("--quiet").returncode == 0
    assert complete(voyage, 30)
    assert voyage.server.stats().requests == seen, "all of it was there"
    assert [p for p in (voyage.library / ".argosy" / "staging").rglob("*") if p.is_file()] == []


@pytest.mark.slow
@pytest.mark.torture(62)
@pytest.mark.parametrize("strategy", ["threads", "multiprocess"])
def test_two_terminals_make_outputs_of_one_directory(set_sail: SetSail, strategy: str) -> None:
    voyage = set_sail(items=40, resources_per_item=2, size=3000, max_workers=4)
    assert voyage.run("--quiet").returncode == 0
    seen = voyage.server.stats().requests
    voyage.config["output"] = OUTPUTS
    command = [sys.executable, "-m", "argosy", "output", str(voyage.file), "--quiet", "--strategy", strategy]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(run.communicate()[1], run.returncode) for run in runs] == [("", 0)] * 2
    assert complete(voyage, 40)
    assert voyage.server.stats().requests == seen


@pytest.mark.torture(62)
def test_an_index_that_several_runs_keep_up_to_date(set_sail: SetSail) -> None:
    """Two terminals of one manifest, a third one of another, in one directory: no line is lost or cut."""
    voyage = set_sail(items=40, size=3000, max_workers=2, rate=200_000, output=["files", "index"])
    other = {**voyage.config, "source": {"use": "manifest", "path": "others.jsonl"}}
    text = (voyage.root / "books.jsonl").read_text("utf-8")
    (voyage.root / "others.jsonl").write_text(text.replace('"id": "item-', '"id": "more-'), "utf-8")
    (voyage.root / "others.json").write_text(json.dumps(other), "utf-8")
    command = [sys.executable, "-m", "argosy", "download", str(voyage.root / "others.json"), "--quiet"]
    third = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    runs = [voyage.start("--quiet"), voyage.start("--quiet"), third]
    while any(run.poll() is None for run in runs):
        seen = ids(voyage)  # once: it may be another one the next time
        assert seen == sorted(set(seen))
        time.sleep(0.05)
    said = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    wanted = sorted(f"{word}-{n:05}" for word in ("item", "more") for n in range(1, 41))
    assert ids(voyage) == wanted


#: Makes an item done and the index anew, so many times.
WRITER = """
import sys
from pathlib import Path
from argosy.config.load import load
from argosy.interfaces.base import PluginContext
from argosy.models.items import Item, PublishedFile, Outcome, DownloadRecord, State
from argosy.plugins.manager import PluginManager
from argosy.state.ledger import Ledger
from argosy.engine.outputs import Aggregator, Outputs
from argosy.state.staging import StagingArea
from argosy_plugins.storages.folder import FolderStorage

directory, who = Path(sys.argv[1]), sys.argv[2]
plugins = PluginManager()
settings = load({"directory": str(directory), "output": "index"}, plugins)
staging = StagingArea(directory)
ledger = Ledger(directory)
ledger.storage = FolderStorage({}, PluginContext(directory=directory))
outputs = Outputs(settings.output, plugins, PluginContext())
aggregator = Aggregator(outputs, ledger, staging, settings)
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    item = Item(f"{who}-{number:02}", "x" * 2000)
    ledger.requeue([(item.id, item.fingerprint(), item.title, item.to_json())])
    ledger.claim([item.id])
    ledger.record([Outcome(item.id, State.DONE, outputs=("files",), known=DownloadRecord(item, ()).pack())])
    assert aggregator.refresh()
    lines = (directory / "index.jsonl").read_text().splitlines()
    assert any(item.id in line for line in lines), "what is done when the files are made is in them"
ledger.close()
"""


@pytest.mark.slow
@pytest.mark.torture(62)
def test_many_writers_of_one_index(tmp_path: Path) -> None:
    (tmp_path / ".argosy").mkdir()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda writer: writer.communicate("go\n"), writers))
    assert [writer.returncode for writer in writers] == [0] * 4
    found = [json.loads(line)["id"] for line in (tmp_path / "index.jsonl").read_text("utf-8").splitlines()]
    assert found == [f"w{n}-{number:02}" for n in range(4) for number in range(20)]


@pytest.mark.torture(47)
def test_killed_before_the_index_is_written_down(set_sail: SetSail) -> None:
    """The name is claimed and the file is there, but the ledger does not know that: it is ours all the same."""
    voyage = set_sail(items=2, output=["files", "index"])
    assert voyage.run("--quiet").returncode == 0
    ledger = Ledger(voyage.library)
    ledger.db.execute("UPDATE aggregated SET size = NULL, sha256 = NULL, changes = 0")
    ledger.close()
    (voyage.library / "index.jsonl").write_text("an older one\n")
    assert voyage.run("--quiet").returncode == 0
    assert ids(voyage) == ["item-00001", "item-00002"]


MOODY = """
    import argosy

    class Moody(argosy.Output):
        name = "moody"
        summary = "An output that fails on one item"

        def produce(self, item, scratch):
            if item.item.id == "item-00002":
                raise ValueError("no")
            return [argosy.Product(f"{item.item.id}.out", item.files[0].path)]

    @argosy.hookimpl
    def argosy_output():
        return Moody
"""

ALL = """
    import argosy

    class All(argosy.CollectingOutput):
        name = "all"
        summary = "An output over all items that fails from the second one on"

        def collect(self, items, scratch):
            for number, item in enumerate(items):
                if number:
                    raise ValueError("not today")
            (scratch / "all").write_text("all")
            return [argosy.Product("all.txt", scratch / "all")]

    @argosy.hookimpl
    def argosy_output():
        return All
"""


@pytest.mark.torture(56)
def test_an_output_that_fails_later_leaves_its_item_done(
    set_sail: SetSail, install: Callable[..., dict[str, str]]
) -> None:
    environment = install("moody-outputs", MOODY, "moody")
    voyage = set_sail(items=3, output=["files", "zip"])
    assert voyage.run("--quiet").returncode == 0
    voyage.config["output"] = ["files", "zip", "moody"]
    for _ in range(2):
        done = voyage.run(env=environment)
        assert done.returncode == 1
        assert "'moody' failed: ValueError: no" in " ".join(done.stderr.split())
        assert voyage.done() == {"item-00001", "item-00002", "item-00003"}
        assert sorted(p.name for p in voyage.library.glob("*.out")) == ["item-00001.out", "item-00003.out"]
    assert voyage.argosy("verify", str(voyage.library)).returncode == 0
    assert [p for p in (voyage.library / ".argosy" / "staging").rglob("*") if p.is_file()] == []


@pytest.mark.torture(56)
def test_an_output_that_fails_at_first_leaves_nothing_of_its_item(
    set_sail: SetSail, install: Callable[..., dict[str, str]]
) -> None:
    environment = install("moody-outputs", MOODY, "moody")
    voyage = set_sail(items=3, output=["files", "moody"])
    assert voyage.run(env=environment).returncode == 1
    assert voyage.done() == {"item-00001", "item-00003"}
    assert not (voyage.library / "item-00002").exists()
    seen = voyage.server.stats().accepted
    voyage.config["output"] = ["files"]
    assert (voyage.run("--quiet").returncode, voyage.wrong()[:0]) == (0, [])
    assert voyage.server.stats().accepted == seen, "what was fetched is taken from staging"


@pytest.mark.torture(56)
def test_an_output_over_all_items_that_fails_ends_the_run_and_is_named(
    set_sail: SetSail, install: Callable[..., dict[str, str]]
) -> None:
    environment = install("all-outputs", ALL, "all")
    voyage = set_sail(items=3, output=["files", "all"])
    done = voyage.run(env=environment)
    assert done.returncode == 7
    assert "The output 'all' failed" in done.stderr
    assert (voyage.done(), voyage.damaged()) == ({"item-00001", "item-00002", "item-00003"}, [])
    assert (voyage.library / "all.txt").read_text() == "all", "the one that was made at the start is whole"
