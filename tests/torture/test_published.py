"""A kill between the moment a file gets its final name and the moment the ledger knows it."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import warm
from argosy.interfaces import PluginContext
from argosy.state.ledger import Ledger
from argosy_plugins.storages.folder import FolderStorage

#: Kills its own process right before the n-th call of a kind, as counted from the first file that is published.
#: Its output makes a file that is different each time, as an archive with the time in it.
KILLER = """
import os, signal, sys
import argosy

calls, published, armed = [], [], os.environ.get("KILL_BEFORE")
count = os.open(os.path.join(os.path.dirname(__file__), "calls"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def before(event, arguments):
    settles = event == "open" and str(arguments[0]).endswith("/d")  # or is about to give the next name
    if not settles and event not in ("os.link", "os.rename", "os.remove", "os.rmdir", "item.finished"):
        return
    if event == "os.link" and ".argosy" not in str(arguments[1]):
        published.append(1)
    if published:
        calls.append(event)
        os.write(count, b".")
        if armed is not None and len(calls) > int(armed):
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(before)


class Stamp(argosy.Output):
    name = "stamp"
    summary = "A file that is different each time"

    def produce(self, item, scratch):
        path = scratch / "stamp"
        path.write_bytes(os.urandom(16))
        return [argosy.Product(f"{item.item.id}.stamp", path)]


class Witness(argosy.Observer):
    name = "witness"
    summary = "Sees the moment when the ledger knows of the item"

    def on_event(self, event):
        before(event.kind, ())


@argosy.hookimpl
def argosy_output():
    return Stamp


@argosy.hookimpl
def argosy_observer():
    return Witness
"""


@pytest.fixture
def setting(raw_server: Any, tmp_path: Path) -> Callable[..., tuple[Path, list[str]]]:
    """Return a configuration in a folder of its own, for a service whose bytes differ with each answer."""
    answers = itertools.count(1)

    def serve(server: Any, connection: socket.socket) -> None:
        if server.request(connection):
            body = b"%08d" % next(answers) * 100
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)

    server = raw_server(serve)
    plugin = tmp_path / "killer.py"
    plugin.write_text(KILLER, "utf-8")

    def start(name: str, *outputs: str, **options: Any) -> tuple[Path, list[str]]:
        root = tmp_path / name
        root.mkdir()
        resources = [{"url": f"{server.url}/{part}", "path": f"{part}.pdf"} for part in ("a", "b")]
        line = {"id": "book", "resources": resources}
        (root / "m.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
        config = {"source": {"use": "manifest", "path": "m.jsonl"}, "directory": "d", "output": outputs}
        config["observers"] = ["witness"]
        (root / "argosy.json").write_text(json.dumps({**config, **options}), "utf-8")
        return root, ["download", str(root / "argosy.json"), "--plugin", str(plugin)]

    return start


def published(root: Path) -> dict[str, bytes]:
    """Return everything that has its final name."""
    found = (path.relative_to(root / "d") for path in (root / "d").rglob("*") if path.is_file())
    return {str(path): (root / "d" / path).read_bytes() for path in found if path.parts[0] != ".argosy"}


def finished(root: Path) -> dict[str, bytes]:
    """Return the finished files; each must be the one that the ledger knows."""
    ledger = Ledger(root / "d", read_only=True)
    ledger.storage = FolderStorage({}, PluginContext(directory=root / "d"))
    try:
        (row,) = ledger.all_rows()
        assert [ledger.storage.problem(file) for file in row.files] == [None] * len(row.files)
    finally:
        ledger.close()
    assert row.state == "done", row.failure
    files = published(root)
    assert files.keys() == {file.name for file in row.files}
    assert [p for p in (root / "d" / ".argosy" / "staging").rglob("*") if p.is_file()] == []
    return files


@pytest.mark.torture(85)
def test_killed_before_the_ledger_knows_what_was_published(setting: Callable[..., Any]) -> None:
    root, command = setting("clean", "files", "stamp")
    clean = warm.run(*command)
    assert clean.returncode == 0, clean.stderr
    calls = (root.parent / "calls").stat().st_size
    assert (len(finished(root)), calls > 5) == (3, True)
    for number in range(calls):
        root, command = setting(f"kill-{number}", "files", "stamp")
        killed = warm.run(*command, env={**os.environ, "KILL_BEFORE": str(number)})
        assert killed.returncode == -9, (number, killed.stderr)
        before = published(root)
        before.pop("book.stamp", None)  # its output makes another one
        again = warm.run(*command)
        assert again.returncode == 0, (number, again.stderr)
        after = finished(root)
        assert after.keys() == {"book/a.pdf", "book/b.pdf", "book.stamp"}
        assert {name: after[name] for name in before} == before, "a finished file was downloaded again"


@pytest.mark.torture(85)
def test_killed_and_the_manifest_has_changed_since(setting: Callable[..., Any]) -> None:
    root, command = setting("d", "files", "stamp")
    assert warm.run(*command, env={**os.environ, "KILL_BEFORE": "5"}).returncode == -9
    assert (root / "d" / "book.stamp").exists()
    manifest = root / "m.jsonl"
    manifest.write_text(manifest.read_text().replace('"id"', '"title": "Another", "id"'), "utf-8")
    again = warm.run(*command)
    assert again.returncode == 0, again.stderr
    assert len(finished(root)) == 3


@pytest.mark.torture(85)
def test_a_file_of_somebody_else_is_left_alone_after_a_kill(setting: Callable[..., Any]) -> None:
    root, command = setting("d", "files", "stamp")
    # three names, and the folder opened for all but the first: the next time, it is synced
    assert warm.run(*command, env={**os.environ, "KILL_BEFORE": "5"}).returncode == -9
    for name in ("book/a.pdf", "book.stamp"):
        (root / "d" / name).unlink()
        (root / "d" / name).write_bytes(b"mine")
    again = warm.run(*command)
    assert again.returncode == 1
    assert "is not from this item" in again.stdout + again.stderr
    assert {(root / "d" / name).read_bytes() for name in ("book/a.pdf", "book.stamp")} == {b"mine"}
