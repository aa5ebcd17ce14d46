"""Remote storage on fsspec's own file systems: what it looks at, what it puts there, and what it tries again."""

from __future__ import annotations

import errno
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.cli.target import recalled
from argosy.config.location import Remote, open_storage
from argosy.errors import ConfigError, StorageError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import Existing, Patience, Storage
from argosy.models.items import Product, PublishedFile, Verification
from argosy.plugins.manager import PluginManager
from argosy_plugins.storages._errors import broken
from argosy_plugins.storages._remote import RemoteStorage, _options_of_url, made
from voyage import Voyage

Open = Callable[..., Storage]

PLUGINS = PluginManager()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


@pytest.fixture
def storage(tmp_path: Path, there: Path) -> Storage:
    opened = open_at(tmp_path, Remote(f"file://{there}"))
    opened.prepare()
    return opened


def open_at(tmp_path: Path, remote: Remote, **patience: Any) -> Storage:
    storage = open_storage(remote, PLUGINS, PluginContext(directory=tmp_path / "local"))
    storage.patience = Patience(**{"retries": 2, "delay": 0.0, **patience})
    return storage


def file(tmp_path: Path, content: bytes, name: str = "a/b.txt") -> tuple[Product, PublishedFile]:
    path = tmp_path / f"staged-{hashlib.sha256(content).hexdigest()[:8]}"
    path.write_bytes(content)
    kept = PublishedFile(name, len(content), hashlib.sha256(content).hexdigest(), Verification.DIGEST, "files")
    return Product(name, path), kept


def test_a_file_is_put_looked_at_and_fetched(storage: Storage, there: Path, tmp_path: Path) -> None:
    product, kept = file(tmp_path, b"a book")
    assert storage.existing(kept, replace=False) is Existing.NOTHING
    assert (storage.size(kept.name), storage.occupied(kept.name)) == (None, False)
    assert storage.problem(kept) == "is missing"
    storage.put(product, kept, Existing.NOTHING, replace=False)
    assert [p.name for p in there.rglob("*") if p.is_file()] == ["b.txt"]
    assert (there / "a/b.txt").read_bytes() == b"a book"
    assert (storage.size(kept.name), storage.occupied(kept.name)) == (6, True)
    assert storage.existing(kept, replace=False) is Existing.IT
    assert storage.existing(kept, replace=True) is Existing.OLD
    assert storage.problem(kept) is None
    assert storage.take(kept, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"a book"
    assert storage.at_hand(kept.name, tmp_path).read_bytes() == b"a book"


@pytest.mark.torture(71)
def test_what_is_not_ours_is_left_as_it_is(storage: Storage, there: Path, tmp_path: Path) -> None:
    product, kept = file(tmp_path, b"a book", "b.txt")
    (there / "b.txt").write_bytes(b"theirs")
    with pytest.raises(TransferError, match=r"already exists") as caught:
        storage.existing(kept, replace=False)
    assert "--force" in str(caught.value)
    assert storage.existing(kept, replace=True) is Existing.OLD
    # somebody comes between the look and the upload
    with pytest.raises(TransferError, match=r"already exists"):
        storage.put(product, kept, Existing.NOTHING, replace=False)
    assert (there / "b.txt").read_bytes() == b"theirs"
    assert storage.problem(kept) == "has different content than was downloaded"
    storage.put(product, kept, Existing.OLD, replace=True)
    assert (there / "b.txt").read_bytes() == b"a book"
    assert [p.name for p in there.iterdir()] == ["b.txt"]


def test_the_very_file_that_has_come_meanwhile_is_kept(storage: Storage, there: Path, tmp_path: Path) -> None:
    product, kept = file(tmp_path, b"a book", "b.txt")
    (there / "b.txt").write_bytes(b"a book")
    before = (there / "b.txt").stat().st_ino
    storage.put(product, kept, Existing.NOTHING, replace=False)
    assert (there / "b.txt").stat().st_ino == before


def test_a_folder_of_that_name_is_in_the_way(storage: Storage, there: Path, tmp_path: Path) -> None:
    _, kept = file(tmp_path, b"a book", "b.txt")
    (there / "b.txt").mkdir()
    for replace in (False, True):
        with pytest.raises(TransferError, match=r"already exists"):
            storage.existing(kept, replace=replace)
    assert storage.size(kept.name) is None
    assert storage.problem(kept) == "is missing"


def test_a_file_where_a_folder_should_be_costs_the_item(storage: Storage, there: Path, tmp_path: Path) -> None:
    product, kept = file(tmp_path, b"a book")
    (there / "a").write_bytes(b"a file")
    with pytest.raises(TransferError, match=r"a file is in the place of a folder"):
        storage.put(product, kept, Existing.NOTHING, replace=False)


def test_a_survey_is_a_list_of_what_is_there(storage: Storage, there: Path, tmp_path: Path) -> None:
    (there / "a").mkdir()
    (there / "a" / "b.txt").write_bytes(b"12345")
    storage.survey()
    (there / "a" / "b.txt").unlink()
    assert storage.size("a/b.txt") == 5, "it was not asked for again"
    assert storage.size("a/c.txt") is None
    storage.survey()
    assert storage.size("a/b.txt") is None
    storage.learn([PublishedFile("x", 3, "", Verification.NONE)])
    assert storage.size("x") == 3


def test_a_survey_passes_by_a_folder_that_nobody_may_read(
    storage: Storage, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asyncssh import SFTPPermissionDenied
    from fsspec.implementations.local import LocalFileSystem

    for name in ("a", "lost+found"):
        (there / name).mkdir()
        (there / name / "b.txt").write_bytes(b"12345")
    real = LocalFileSystem.ls

    def ls(self: Any, path: str, detail: bool = False, **options: Any) -> Any:
        if path.endswith("lost+found"):
            raise SFTPPermissionDenied("Permission denied")
        return real(self, path, detail=detail, **options)

    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    storage.survey()
    (there / "a" / "b.txt").unlink()
    assert storage.size("a/b.txt") == 5, "it was seen"
    assert storage.size("lost+found/b.txt") == 5, "it is asked for by itself"


def test_a_damaged_file_is_not_taken(storage: Storage, there: Path, tmp_path: Path) -> None:
    _, kept = file(tmp_path, b"a book", "b.txt")
    (there / "b.txt").write_bytes(b"a bock")
    assert not storage.take(kept, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
    with pytest.raises(TransferError, match=r"no longer exists"):
        storage.at_hand("nothing.txt", tmp_path)


def test_a_storage_that_fails_is_tried_again_and_leaves_nothing_half_done(
    storage: Storage, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    product, kept = file(tmp_path, b"a book", "b.txt")
    real, failures = LocalFileSystem.put_file, [OSError(errno.EBUSY, "slow down"), ConnectionResetError()]

    def put_file(self: Any, path1: str, path2: str, *rest: Any, **options: Any) -> None:
        if failures:
            Path(path2).write_bytes(b"a b")  # the half of it came
            raise failures.pop()
        real(self, path1, path2, *rest, **options)

    monkeypatch.setattr(LocalFileSystem, "put_file", put_file)
    storage.put(product, kept, Existing.NOTHING, replace=False)
    assert [(p.name, p.read_bytes()) for p in there.iterdir()] == [("b.txt", b"a book")]

    failures[:] = [PermissionError("no entry")]
    with pytest.raises(StorageError, match=r"denied permission: no entry"):
        storage.put(product, kept, Existing.OLD, replace=True)
    assert [(p.name, p.read_bytes()) for p in there.iterdir()] == [("b.txt", b"a book")]
    assert failures == [], "that is not tried again"


def test_a_storage_that_keeps_less_than_it_was_given(
    storage: Storage, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    def put_file(self: Any, path1: str, path2: str, *rest: Any, **options: Any) -> None:
        Path(path2).write_bytes(b"a b")

    product, kept = file(tmp_path, b"a book", "b.txt")
    monkeypatch.setattr(LocalFileSystem, "put_file", put_file)
    with pytest.raises(StorageError, match=r"3 of the 6 bytes"):
        storage.put(product, kept, Existing.NOTHING, replace=False)
    assert list(there.iterdir()) == []


def test_two_machines_do_not_write_to_one_part(tmp_path: Path, there: Path) -> None:
    names = set()
    for mark in ("ada", "bob"):
        storage = open_storage(Remote(f"file://{there}"), PLUGINS, PluginContext(directory=tmp_path / mark))
        assert isinstance(storage, RemoteStorage)
        names.add(storage.temporary("/x/b.txt"))
    assert len(names) == 2


def test_a_name_at_the_top_of_memory(tmp_path: Path) -> None:
    storage = open_at(tmp_path, Remote("memory://library"))
    product, kept = file(tmp_path, b"a book", "b.txt")
    storage.prepare()
    storage.put(product, kept, Existing.NOTHING, replace=False)
    storage.survey()
    assert (storage.size("b.txt"), storage.problem(kept)) == (6, None)


@pytest.mark.parametrize(
    ("error", "kind", "final"),
    [
        (PermissionError("Forbidden"), "denied", StorageError),
        (FileNotFoundError("no such bucket"), "gone", StorageError),
        (OSError(errno.ENOSPC, "full"), "full", StorageError),
        (OSError(errno.ENAMETOOLONG, "long"), "name", TransferError),
        (OSError(errno.ENOTDIR, "file"), "exists", TransferError),
        (ConnectionRefusedError(), "connect", StorageError),
        (TimeoutError(), "connect", StorageError),
        (OSError(errno.EINVAL, "what?"), "storage", StorageError),
        (ValueError("odd"), "storage", StorageError),
    ],
)
def test_what_a_storage_raises_has_a_cause(
    error: Exception, kind: str, final: type[TransferError | StorageError]
) -> None:
    cause = broken("s3://books/x", error)
    assert cause.kind == kind
    assert cause.retryable is (kind in ("connect", "storage"))
    assert type(cause.final()) is final
    assert "s3://books/x" in str(cause.final())
    assert str(cause.final()).count("..") == 0


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module in ("s3fs", "sshfs"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'argosy\[s3\]'"):
        open_at(tmp_path, Remote("s3://books")).prepare()
    with pytest.raises(ConfigError, match=r"pip install 'argosy\[sftp\]'"):
        open_at(tmp_path, Remote("sftp://host/books")).prepare()
    with pytest.raises(ConfigError, match=r"fsspec does not know the protocol"):
        open_at(tmp_path, Remote("carrier-pigeon://books")).prepare()


def test_an_option_that_the_library_does_not_know(tmp_path: Path) -> None:
    storage = open_at(tmp_path, Remote("s3://books", {"no_such_option": 1, "endpoint_url": "http://127.0.0.1:9"}))
    with pytest.raises(ConfigError, match=r"rejected the options of s3://books: .*no_such_option"):
        storage.prepare()


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("s3://Bad_Name!/x", {"key": "a", "secret": "b"}, r"Invalid bucket name"),
        ("s3://books", {"profile": "nobody"}, r"profile \(nobody\) could not be found"),
        ("s3://books", {"client_kwargs": "x"}, r"has no attribute"),
    ],
)
def test_a_first_call_that_fails_for_what_it_was_given(
    tmp_path: Path, url: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"rejected the options of {url}: .*{words}"):
        open_at(tmp_path, Remote(url, options)).prepare()


def test_a_file_that_options_name_is_not_taken_for_the_directory(tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nhush-hush\n"
    for name, words in (("/no/such/key", r"No such file or directory\): /no/such/key"), (key, r"\.$")):
        options = {"client_keys": [name], "known_hosts": None, "config": [], "agent_path": None}
        with pytest.raises(ConfigError, match=r"name an unreadable file") as caught:
            open_at(tmp_path, Remote("sftp://127.0.0.1:9/books", options)).prepare()
        assert "hush" not in str(caught.value)
        with pytest.raises(ConfigError, match=words):
            raise ConfigError(caught.value.message)


@pytest.mark.parametrize(("user", "port"), [("", ""), ("ada@", ""), ("", ":2222"), ("ada@", ":2222")])
def test_a_host_in_brackets(user: str, port: str) -> None:
    from sshfs import SSHFileSystem

    found = _options_of_url(SSHFileSystem, f"sftp://{user}[::1]{port}/books")
    wanted = {
        "host": "::1",
        **({"username": "ada"} if user else {}),
        **({"port": 2222} if port else {}),
    }
    assert found == wanted


def test_a_library_that_is_missed_no_sooner_than_it_is_used(tmp_path: Path) -> None:
    def late(**options: Any) -> Any:
        raise ModuleNotFoundError("No module named 'pyarrow'")

    with pytest.raises(ConfigError, match=r"library for it is not installed") as caught:
        made("hdfs", late, {})
    assert "pyarrow" in str(caught.value.hint)


def test_a_remote_directory_is_pickled_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_SECRET", "hush-hush")
    remote = Remote("s3://books", {"secret": {"env": "STORAGE_SECRET"}})
    assert b"hush-hush" not in pickle.dumps(remote)


def test_what_does_not_fit_on_this_machine_may_go_elsewhere(set_sail: Callable[..., Voyage], there: Path) -> None:
    voyage = set_sail(items=2, lease_mode="open", auth="none", directory=f"file://{there}", max_retries=0)
    manifest = voyage.root / "books.jsonl"
    lines = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    lines[0]["resources"][0] |= {"size": 10**17}
    manifest.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.counts.failed) == (1, 1), "only what is in work has to fit"


def test_a_place_that_was_not_reached_is_not_remembered(set_sail: Callable[..., Voyage]) -> None:
    nobody = {"url": "s3://books", "options": {"endpoint_url": "http://127.0.0.1:9", "anon": True}}
    voyage = set_sail(items=1, directory=nobody, max_retries=0, max_outage=0)
    with pytest.raises(StorageError, match=r"cannot be reached"):
        argosy.download(voyage.file)
    assert recalled("s3://books").options == {}


def test_a_login_needs_nothing_of_the_storage(set_sail: Callable[..., Voyage]) -> None:
    directory = {"url": "s3://books", "options": {"secret": {"env": "NOT_SET_ANYWHERE"}}}
    voyage = set_sail(items=1, directory=directory)
    assert argosy.login(voyage.file) == ["default"]
    with pytest.raises(ConfigError, match=r"NOT_SET_ANYWHERE"):
        argosy.download(voyage.file)
