"""Results in a real object storage: the same promises as on a local disk."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.engine.report import Report
from argosy_plugins.storages import s3 as storages
from missing import need
from object_storage import SECRET, Bucket, ObjectStorage, object_storage
from processes import command, descendants
from voyage import Voyage, after

pytestmark = pytest.mark.slow

SetSail = Callable[..., Voyage]


@dataclass
class Stored:
    """A download whose results go into a bucket of its own."""

    voyage: Voyage
    bucket: Bucket

    @property
    def url(self) -> str:
        return str(self.voyage.config["directory"]["url"])

    @property
    def requests(self) -> int:
        return self.voyage.server.stats().requests

    def wrong(self, *, half_done: bool = False) -> list[str]:
        """Return what is not as it must be in the bucket; what is not there yet is right where it is half done."""
        found = self.bucket.contents("library/")
        wanted = {e.name: e.sha256 for e in self.voyage.expected}
        for name in wanted.keys() - found.keys():
            content = self.bucket.find(f"library/{name}")
            found |= {} if content is None else {name: content}
        damaged = [n for n in wanted if n in found and hashlib.sha256(found[n]).hexdigest() != wanted[n]]
        missing = [] if half_done else [name for name in wanted if name not in found]
        return [*damaged, *missing, *(name for name in found if name not in wanted)]

    def download(self, **changes: Any) -> Report:
        """Download in this process, which costs less than a program each time."""
        self.voyage.config |= changes
        return argosy.download(self.voyage.file)

    def object(self, number: int) -> str:
        return f"library/{self.voyage.expected[number].name}"


Store = Callable[..., Stored]


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    need("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server")
    with object_storage() as running:
        yield running


@pytest.fixture
def store(storage: ObjectStorage, set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Set sail for a bucket: options are those of `set_sail`."""
    monkeypatch.setenv("STORAGE_SECRET", SECRET)
    storage.start()  # where a test that failed left it dead

    def start(**options: Any) -> Stored:
        bucket = storage.bucket()
        directory = {"url": f"s3://{bucket.name}/library", "options": storage.options}
        given = {"items": 3, "lease_mode": "revoke", "size": 30_000, "max_workers": 4, **options}
        return Stored(set_sail(directory=directory, **given), bucket)

    return start


def state() -> Path:
    return Path(os.environ["XDG_STATE_HOME"])


def test_20_items_on_a_strict_session_and_a_rerun_that_asks_nothing(store: Store, tmp_path: Path) -> None:
    stored = store(items=20)
    voyage = stored.voyage
    done = voyage.run("--report", str(tmp_path / "report.json"), "--events", str(tmp_path / "events"))
    assert (done.returncode, stored.wrong()) == (0, []), done.stderr
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    assert json.loads((tmp_path / "report.json").read_text())["directory"] == stored.url
    seen = stored.requests
    again = stored.download()
    assert (again.counts.skipped, stored.requests) == (20, seen)

    everything = [p for folder in (tmp_path, state()) for p in folder.rglob("*") if p.is_file()]
    assert any(path.name == "ledger.sqlite" for path in everything), "the ledger is on this machine"
    assert [path for path in everything if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in done.stdout + done.stderr
    assert not any(path.suffix == ".part" or path.suffix == ".bin" for path in state().rglob("*"))


def test_worker_processes_resolve_the_secret_by_themselves(store: Store) -> None:
    stored = store(items=4, strategy={"use": "multiprocess", "processes": 2})
    shown: set[str] = set()
    process = stored.voyage.start("--quiet")
    while process.poll() is None:
        for pid in [process.pid, *descendants(process.pid)]:
            shown.add(command(pid))
        time.sleep(0.2)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, stored.wrong()) == (0, []), err
    assert any("multiprocessing" in line for line in shown)
    assert not any(SECRET in line for line in shown)
    seen = stored.requests
    assert (stored.download().counts.skipped, stored.requests) == (4, seen)


@pytest.mark.torture(69)
def test_killed_in_the_middle_of_uploads(store: Store, storage: ObjectStorage) -> None:
    stored = store(items=5, size=3_000_000)
    kills = 0
    for _ in range(2):
        process = stored.voyage.start("--quiet")
        while process.poll() is None and not storage.receives():
            time.sleep(0.005)
        process.kill()
        process.communicate(timeout=60)
        kills += process.returncode != 0
        assert stored.wrong(half_done=True) == []
    assert kills > 0
    assert (stored.download().counts.left, stored.wrong()) == (0, [])
    assert [p for p in state().rglob("staging/*") if any(q.is_file() for q in p.rglob("*"))] == []


@pytest.mark.torture(68)
def test_a_storage_that_goes_away_and_comes_back_is_waited_for(store: Store, storage: ObjectStorage) -> None:
    stored = store(items=8, max_workers=2)
    notices: list[str] = []

    def on_event(event: Any) -> None:
        kill(event)
        if event.kind == "run.notice" and "cannot be reached" in event.data["message"]:
            notices.append(event.data["message"])
            if len(notices) == 1:
                storage.start()

    kill = after(3, storage.kill)
    report = argosy.download(stored.voyage.file, on_event)
    assert (report.counts.done, report.counts.failed, stored.wrong()) == (8, 0, [])
    assert notices
    assert stored.voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(68)
def test_a_storage_that_stays_away_ends_the_run_and_loses_nothing(store: Store, storage: ObjectStorage) -> None:
    stored = store(items=8, max_workers=2, max_outage=0, max_retries=1)
    kill = after(2, storage.kill)
    with pytest.raises(argosy.ArgosyError, match=r"cannot be reached") as caught:
        argosy.download(stored.voyage.file, kill)
    storage.start()
    assert caught.value.exit_code == 5
    before = stored.voyage.server.stats().requests_by_path
    assert (stored.download().counts.left, stored.wrong()) == (0, [])
    after_ = stored.voyage.server.stats().requests_by_path
    whole = [path for path in before if path.startswith("/library/") and after_[path] > before[path]]
    assert whole == [], "what was whole on this machine was downloaded again"


@pytest.mark.torture(70)
@pytest.mark.parametrize("what", ["secret", "key", "bucket"])
def test_a_storage_that_does_not_let_in(store: Store, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store()
    directory = stored.voyage.config["directory"]
    if what == "secret":
        monkeypatch.setenv("STORAGE_SECRET", "another-secret")
    elif what == "key":
        directory["options"]["key"] = "somebody:else"
    else:
        directory["url"] = "s3://no-such-bucket-here/library"
    with pytest.raises(argosy.ArgosyError) as caught:
        stored.download()
    assert caught.value.exit_code == 5
    said = str(caught.value)
    assert directory["url"] in said
    assert ("create it first" if what == "bucket" else "denied permission") in said
    assert not any(secret in said for secret in (SECRET, "another-secret"))
    assert stored.requests == 0, "it is said before anything is asked of the service"


@pytest.mark.torture(71)
def test_what_is_not_ours_stays_unless_it_is_forced(store: Store) -> None:
    stored = store()
    stored.bucket.write(stored.object(1), b"somebody else's")
    (failure,) = stored.download().failures
    assert f"{stored.url}/{stored.voyage.expected[1].name} already exists" in failure.message
    assert stored.bucket.read(stored.object(1)) == b"somebody else's"
    assert stored.download(force_redownload=True).counts.done == 3
    assert stored.wrong() == []


def test_the_very_file_of_somebody_else_is_left_as_it_is(store: Store) -> None:
    stored = store(items=2)
    name = stored.voyage.expected[0].name
    assert stored.download().counts.left == 0
    for path in state().rglob("ledger.sqlite*"):
        path.unlink()
    stored.bucket.write(f"library/{name}", stored.bucket.read(f"library/{name}"), mark="mine")
    assert stored.download().counts.left == 0
    assert (stored.bucket.mark(f"library/{name}"), stored.wrong()) == ("mine", [])


@pytest.mark.torture(72)
def test_verify_finds_what_is_damaged_or_gone_and_a_run_mends_it(store: Store) -> None:
    stored = store()
    voyage = stored.voyage
    assert stored.download().counts.done == 3
    whole = stored.bucket.read(stored.object(0))
    stored.bucket.write(stored.object(0), b"?" + whole[1:])
    stored.bucket.write(stored.object(1), b"short")
    stored.bucket.remove(stored.object(2))
    found = voyage.argosy("verify", stored.url, "--requeue")
    assert found.returncode == 1
    for words in ("has different content", "has 5 bytes instead of", "is missing"):
        assert words in found.stdout
    assert "3 items damaged" in found.stderr
    assert stored.download().counts.left == 0
    assert stored.wrong() == []


@pytest.mark.torture(72)
def test_a_run_fetches_again_what_has_gone_and_nothing_else(store: Store) -> None:
    stored = store()
    assert stored.download().counts.left == 0
    stored.bucket.remove(stored.object(2))
    before = stored.requests
    assert stored.download().counts.left == 0
    assert (stored.requests, stored.wrong()) == (before + 1, [])


def test_status_says_where_everything_is(store: Store) -> None:
    stored = store()
    assert "done       0 items" in stored.voyage.argosy("status", str(stored.voyage.file)).stdout
    nothing = stored.voyage.argosy("status", stored.url)
    assert (nothing.returncode, "Nothing was downloaded into s3://" in nothing.stderr) == (2, True)
    assert stored.download().counts.left == 0
    for given in (str(stored.voyage.file), f"{stored.url}/"):
        shown = stored.voyage.argosy("status", given)
        assert f"directory  {stored.url}\n" in shown.stdout, shown.stderr
        assert f"ledger     {state()}" in shown.stdout
        assert "done       3 items" in shown.stdout


def test_other_outputs_are_made_of_what_is_stored_without_a_request(store: Store) -> None:
    stored = store(output=["files", "index"], resources_per_item=2)
    voyage = stored.voyage
    assert stored.download().counts.left == 0
    seen = stored.requests
    (voyage.root / "cookies.json").unlink()
    (voyage.root / "password.txt").unlink()
    done = voyage.argosy("output", stored.url, "--output", "zip", "--output", "index")
    assert (done.returncode, stored.requests) == (0, seen), done.stderr
    for number in range(1, 4):
        item = f"item-{number:05}"
        with zipfile.ZipFile(BytesIO(stored.bucket.read(f"library/{item}.zip"))) as archive:
            got = {f"{item}/{name}": archive.read(name) for name in archive.namelist()}
        assert got == {name: stored.bucket.read(f"library/{name}") for name in got}
        assert len(got) == 2
    lines = stored.bucket.read("library/index.jsonl").splitlines()
    assert [len(json.loads(line)["files"]) for line in lines] == [3, 3, 3]


def test_files_are_given_back_by_an_archive_that_is_stored(store: Store) -> None:
    stored = store(output=["zip"])
    assert stored.download().counts.left == 0
    seen = stored.requests
    made = argosy.remake({"directory": stored.voyage.config["directory"], "output": "files"})
    assert (made.counts.done, stored.requests) == (3, seen)
    found = stored.bucket.contents("library/")
    assert all(hashlib.sha256(found[e.name]).hexdigest() == e.sha256 for e in stored.voyage.expected)


def test_files_of_many_parts_in_a_bucket_of_their_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "PART", 200_000)
    stored = store(items=2, size=1_000_000)
    stored.voyage.config["directory"]["url"] = f"s3://{stored.bucket.name}"
    assert stored.download().counts.done == 2
    found = {name: hashlib.sha256(content).hexdigest() for name, content in stored.bucket.contents().items()}
    assert found == {e.name: e.sha256 for e in stored.voyage.expected}
    assert stored.download().counts.skipped == 2
    stored.bucket.write(stored.voyage.expected[0].name, b"somebody else's")
    for path in state().rglob("ledger.sqlite*"):
        path.unlink()
    report = stored.download()
    assert (report.counts.done, report.counts.failed) == (1, 1)
    assert stored.bucket.read(stored.voyage.expected[0].name) == b"somebody else's"


@pytest.mark.parametrize("apart", [False, True], ids=["one state folder", "a state folder for each"])
def test_shards_share_a_bucket(store: Store, tmp_path: Path, apart: bool) -> None:
    """Also those of machines that share nothing else, whose ledgers do not know of each other."""
    stored = store(items=24, cookie_store={"use": "json-file", "path": str(tmp_path / "cookies.json")}, max_workers=2)
    voyage = stored.voyage
    folders = [tmp_path / f"state-{number}" if apart else state() for number in (1, 2, 3)]
    for _ in range(2):
        runs = [
            voyage.start("--quiet", "--shard", f"{number}/3", env={**os.environ, "XDG_STATE_HOME": str(folder)})
            for number, folder in enumerate(folders, 1)
        ]
        said = [run.communicate(timeout=100)[1] for run in runs]
        assert [run.returncode for run in runs] == [0, 0, 0], said
    stats = voyage.server.stats()
    assert stored.wrong() == []
    assert (stats.accepted, stats.logins, stats.refused) == (1 + 24, 1, 0)
    status = voyage.argosy("status", str(voyage.file), env={**os.environ, "XDG_STATE_HOME": str(folders[0])}).stdout
    assert ("shards     1 of 3 (not started: 2, 3)" if apart else "shards     3 of 3") in status
