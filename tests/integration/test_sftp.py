"""Results on another machine, through a real OpenSSH server: the same promises as on a local disk."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.config.location import open_storage, remote_of
from argosy.engine.report import Report
from argosy.interfaces.base import PluginContext
from argosy.plugins.manager import PluginManager
from argosy_plugins.storages import sftp as storages
from missing import need
from ssh_server import SshServer, ssh_server
from voyage import Voyage, after

pytestmark = pytest.mark.slow

SetSail = Callable[..., Voyage]


@dataclass
class Sent:
    """A download whose results go to another machine: a folder that an SSH server shows."""

    voyage: Voyage
    folder: Path

    def wrong(self, *, half_done: bool = False) -> list[str]:
        """Return what is not as it must be there; half done, parts of uploads may lie beside."""
        found = {str(p.relative_to(self.folder)): p for p in self.folder.rglob("*") if p.is_file()}
        if half_done:
            found = {name: path for name, path in found.items() if not path.name.startswith(".argosy-")}
        wanted = {e.name: e.sha256 for e in self.voyage.expected}
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}
        missing = [] if half_done else [name for name in wanted if name not in found]
        return [*missing, *(name for name in found if digests[name] != wanted.get(name))]

    def download(self, **changes: Any) -> Report:
        """Download in this process, which costs less than a program each time."""
        self.voyage.config |= changes
        return argosy.download(self.voyage.file)


Send = Callable[..., Sent]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    need("/usr/sbin/sshd", "ssh-keygen")
    with ssh_server() as running:
        yield running


@pytest.fixture
def send(server: SshServer, set_sail: SetSail, tmp_path: Path) -> Send:
    """Set sail for a folder of the server: options are those of `set_sail`."""
    server.start()  # where a test that failed left it dead

    def start(**options: Any) -> Sent:
        name = f"{tmp_path.name}-{os.getpid()}"
        directory = {"url": f"{server.url}/{name}", "options": server.options}
        given = {"items": 4, "lease_mode": "revoke", "size": 30_000, "max_workers": 4, **options}
        return Sent(set_sail(directory=directory, **given), server.files / name)

    return start


def test_a_download_a_rerun_and_a_look(send: Send) -> None:
    sent = send(items=6)
    voyage, url = sent.voyage, sent.voyage.config["directory"]["url"]
    done = voyage.run("--quiet")
    assert (done.returncode, done.stderr, sent.wrong()) == (0, "", [])
    seen = voyage.server.stats().requests
    assert (sent.download().counts.skipped, voyage.server.stats().requests) == (6, seen)
    assert voyage.server.stats().replaced_tokens_sent == 0
    (sent.folder / voyage.expected[0].name).write_bytes(bytes(30_000))
    (sent.folder / voyage.expected[1].name).unlink()
    found = voyage.argosy("verify", url, "--requeue")
    assert (found.returncode, "2 items damaged" in found.stderr) == (1, True), found.stderr
    assert sent.download().counts.done == 2
    assert sent.wrong() == []
    seen = voyage.server.stats().requests
    made = argosy.remake({"directory": voyage.config["directory"], "output": "zip"})
    assert made.counts.done == 6
    assert voyage.server.stats().requests == seen
    assert len(list(sent.folder.glob("*.zip"))) == 6
    assert "directory  sftp://***@127.0.0.1" in voyage.argosy("status", url).stdout


def test_in_worker_processes(send: Send) -> None:
    sent = send(items=3, strategy={"use": "multiprocess", "processes": 2})
    done = sent.voyage.run("--quiet")
    assert (done.returncode, sent.wrong()) == (0, []), done.stderr


@pytest.mark.torture(62)
def test_two_runs_at_once_do_each_item_once(send: Send) -> None:
    sent = send(items=8, ttfb=0.05)
    runs = [sent.voyage.start("--quiet") for _ in range(2)]
    said = [run.communicate(timeout=100) for run in runs]
    assert ([run.returncode for run in runs], sent.wrong()) == ([0, 0], []), said
    books = {p: n for p, n in sent.voyage.server.stats().requests_by_path.items() if p.endswith(".bin")}
    assert len(books) == 8
    assert set(books.values()) == {1}


@pytest.mark.torture(69)
def test_killed_in_the_middle_of_uploads(send: Send) -> None:
    sent = send(items=6, size=3_000_000)
    kills = 0
    for _ in range(2):
        process = sent.voyage.start("--quiet")
        while process.poll() is None and not list(sent.folder.glob("*/.argosy-*.part")):
            time.sleep(0.005)
        process.kill()
        process.communicate(timeout=60)
        kills += process.returncode != 0
        assert sent.wrong(half_done=True) == []
    assert kills > 0
    assert (sent.download().counts.left, sent.wrong()) == (0, [])


@pytest.mark.torture(68)
def test_a_server_that_goes_away_and_comes_back_is_waited_for(send: Send, server: SshServer) -> None:
    sent = send(items=8, max_workers=2)
    notices: list[str] = []

    def on_event(event: Any) -> None:
        kill(event)
        if event.kind == "run.notice" and "cannot be reached" in event.data["message"]:
            notices.append(event.data["message"])
            if len(notices) == 1:
                server.start()

    kill = after(3, server.kill)
    report = argosy.download(sent.voyage.file, on_event)
    assert (report.counts.done, report.counts.failed, sent.wrong()) == (8, 0, [])
    assert notices


@pytest.mark.torture(68)
def test_connections_that_hang_are_given_up(send: Send, server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "KEEPALIVE", 0.2)
    sent = send(items=8, max_workers=2)
    report = argosy.download(sent.voyage.file, after(3, server.freeze))
    assert (report.counts.done, report.counts.failed, sent.wrong(half_done=True)) == (8, 0, [])


@pytest.mark.torture(71)
def test_what_is_not_ours_stays_unless_it_is_forced(send: Send) -> None:
    sent = send()
    path = sent.folder / sent.voyage.expected[1].name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody else's")
    assert sent.download().counts.failed == 1
    assert path.read_bytes() == b"somebody else's"
    assert sent.download(force_redownload=True).counts.done == 4
    assert sent.wrong() == []


def test_a_folder_in_the_way_and_a_file_where_a_folder_should_be(send: Send) -> None:
    sent = send()
    (sent.folder / sent.voyage.expected[0].name).mkdir(parents=True)
    (sent.folder / sent.voyage.expected[1].name).parent.write_bytes(b"a file")
    failures = {failure.id: failure for failure in sent.download().failures}
    assert {item: failure.kind for item, failure in failures.items()} == {
        "item-00001": "exists",
        "item-00002": "exists",
    }
    assert "a file is in the place of a folder" in failures["item-00002"].message


def test_a_link_to_nowhere_costs_its_item_and_no_other(send: Send) -> None:
    sent = send()
    path = sent.folder / sent.voyage.expected[1].name
    path.parent.mkdir(parents=True)
    path.symlink_to("/nowhere/at/all")
    report = sent.download()
    assert (report.counts.done, [failure.kind for failure in report.failures]) == (3, ["exists"])
    assert path.is_symlink()


def test_a_server_that_has_no_words_for_a_full_disk(send: Send) -> None:
    sent = send(items=1, max_retries=0)
    path = sent.folder / sent.voyage.expected[0].name
    path.parent.mkdir(parents=True)
    remote = remote_of(sent.voyage.config["directory"], Path("/"))
    assert remote is not None
    storage = open_storage(remote, PluginManager(), PluginContext(directory=remote.folder))
    assert isinstance(storage, storages.SftpStorage)
    Path(storage.temporary(str(path))).symlink_to("/dev/full")
    with pytest.raises(argosy.ArgosyError, match=r"gave no reason") as caught:
        sent.download()
    assert "disk may be full" in str(caught.value.hint)


@pytest.mark.torture(70)
def test_a_host_whose_key_is_not_known_is_sent_nothing(send: Send, tmp_path: Path) -> None:
    sent = send()
    (tmp_path / "nobody").write_text("")
    sent.voyage.config["directory"]["options"]["known_hosts"] = str(tmp_path / "nobody")
    with pytest.raises(argosy.ArgosyError, match=r"the host's key is unknown"):
        sent.download()
    assert not sent.folder.exists()


@pytest.mark.torture(70)
def test_a_user_who_is_not_let_in(send: Send, server: SshServer) -> None:
    sent = send()
    sent.voyage.config["directory"]["options"]["client_keys"] = [str(server.folder / "host")]
    with pytest.raises(argosy.ArgosyError, match=r"denied permission"):
        sent.download()
