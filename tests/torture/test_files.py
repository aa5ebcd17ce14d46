"""The torture table, section files: full disks, things in the way, damage, and rights."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.state.staging import Staging, StagingArea
from hazards import fault
from missing import need
from voyage import Voyage, run_urls

SetSail = Callable[..., Voyage]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of its own, of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    need("mount")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, *, leave: int) -> Path:
    """Fill a disk but for so many bytes."""
    stone = disk / "stone"
    free = os.statvfs(disk)
    with stone.open("wb") as file:
        file.write(b"x" * max(free.f_bavail * free.f_frsize - leave, 0))
    return stone


class Filler:
    """Somebody else, who fills a disk, and fills it again as soon as there is room."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._stones: list[Path] = []
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, again: bool) -> None:
        self._fill()
        if again:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._go_on)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        for stone in self._stones:
            stone.unlink()
        self._stones.clear()

    def _go_on(self) -> None:
        while not self._stopped.wait(0.0005):
            self._fill()

    def _fill(self) -> None:
        free = os.statvfs(self._disk)
        if free.f_bavail or not self._stones:
            self._stones.append(self._disk / f"stone{len(self._stones)}")
            with contextlib.suppress(OSError), self._stones[-1].open("wb") as stone:
                stone.write(b"x" * min(free.f_bavail * free.f_frsize, 2_000_000))


@pytest.fixture
def filler(small_disk: Path) -> Iterator[Filler]:
    filler = Filler(small_disk)
    yield filler
    filler.stop()


def ended(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check how a run ended, and that it says so in plain words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug in argosy" not in done.stderr
    for word in words:
        assert word in done.stderr


def on_disk(voyage: Voyage, disk: Path) -> Voyage:
    """Let the library lie on another disk."""
    voyage.config["directory"] = str(disk)
    voyage.library.symlink_to(disk)
    return voyage


@pytest.mark.torture(36)
@pytest.mark.parametrize("leave", [0, 8_192, 200_000, 600_000])
@pytest.mark.parametrize("options", [{}, {"disk_reserve": 0}], ids=["reserve", "to the last byte"])
def test_the_disk_of_the_library_is_full(
    set_sail: SetSail, small_disk: Path, leave: int, options: dict[str, int]
) -> None:
    voyage = set_sail(items=10, lease_mode="revoke", max_workers=4, size=100_000, digests=False, **options)
    on_disk(voyage, small_disk)
    stone = fill(small_disk, leave=leave)
    ended(voyage.run(), 5, str(small_disk))
    assert voyage.damaged() == []
    kept = voyage.done()
    voyage.server.reset_stats()
    stone.unlink()
    ended(voyage.run(), 0)
    assert voyage.wrong() == []
    asked = voyage.server.stats().requests_by_path
    assert [e.name for e in voyage.expected if e.name.partition("/")[0] in kept and e.path in asked] == []
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(36)
def test_what_does_not_fit_is_not_begun(set_sail: SetSail, small_disk: Path) -> None:
    voyage = on_disk(set_sail(items=10, size=300_000), small_disk)
    ended(voyage.run(), 5, str(small_disk), "3.0 MB needed")
    assert voyage.server.stats().requests == 0
    assert not list(small_disk.glob("item*"))


@pytest.mark.torture(36)
@pytest.mark.parametrize("reserve", [0, 600_000])
def test_a_disk_that_is_full_in_the_middle_of_a_file(set_sail: SetSail, small_disk: Path, reserve: int) -> None:
    size = 3_000_000
    faults = [fault("chunked")]  # so that nobody knows beforehand how long it is
    voyage = set_sail(items=1, lease_mode="revoke", size=size, digests=False, faults=faults, disk_reserve=reserve)
    on_disk(voyage, small_disk)
    ended(voyage.run(), 5, str(small_disk))
    free = os.statvfs(small_disk)
    assert free.f_bavail * free.f_frsize >= reserve - 400_000, "the reserve was used up"
    assert voyage.damaged() == []
    ended(voyage.run(), 5, str(small_disk))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    ended(voyage.run("--report", str(voyage.root / "report.json")), 0)
    assert voyage.wrong() == []
    received = json.loads((voyage.root / "report.json").read_text("utf-8"))["bytes"]
    assert 0 < received < size - 1_000_000, "what had come before the disk was full came again"
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.torture(36)
@pytest.mark.parametrize("leave", [0, 30_000, 150_000])
def test_the_disk_is_full_when_another_output_is_made(set_sail: SetSail, small_disk: Path, leave: int) -> None:
    voyage = on_disk(set_sail(items=6, max_workers=2, size=40_000, disk_reserve=0), small_disk)
    ended(voyage.run(), 0)
    stone = fill(small_disk, leave=leave)
    command = ["output", str(voyage.file), "--output", "cbz", "--output", "index"]
    ended(voyage.argosy(*command), 5, str(small_disk))
    assert voyage.damaged() == []
    assert all(zipfile.is_zipfile(path) for path in voyage.library.glob("*.cbz"))
    stone.unlink()
    ended(voyage.argosy(*command), 0)
    assert len(list(voyage.library.glob("*.cbz"))) == 6
    ended(voyage.argosy("verify", str(voyage.library)), 0)


def strace(*arguments: str) -> list[str]:
    """Return the command that starts a program under `strace`, which lets system calls fail."""
    need("strace")
    command = ["strace", "-f", "-qq", "-o", os.devnull, *arguments]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace cannot be used here: {tried.stderr.strip()}")
    return command


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes this advice")
def test_a_large_file_arrives_where_the_system_takes_no_advice(set_sail: SetSail, tmp_path: Path) -> None:
    """The kernel is asked to write what has come, before the sync that waits for it; it may refuse."""
    voyage, trace = set_sail(items=1, lease_mode="revoke", size=9_000_000), tmp_path / "trace"
    command = strace("-e", "trace=fadvise64", "-e", "inject=fadvise64:error=EINVAL", "-o", str(trace))
    program = [*command, sys.executable, "-m", "argosy", "download", str(voyage.file)]
    ended(subprocess.run(program, capture_output=True, text=True, timeout=100, check=False), 0)
    assert voyage.wrong() == []
    assert "POSIX_FADV_DONTNEED) = -1 EINVAL" in trace.read_text()


@pytest.mark.torture(37)
@pytest.mark.parametrize("which", ["0-*.part", "item-*"])
def test_a_sync_that_failed_is_not_taken_for_one_that_worked(set_sail: SetSail, which: str) -> None:
    """After an fsync that failed, the system may say of the same bytes that all is well: they must be gone."""
    voyage = set_sail(items=1, lease_mode="revoke", size=50_000)
    (file,) = voyage.expected
    ended(voyage.run(), 0)  # so that all folders and files are there
    shutil.rmtree(voyage.library)
    (voyage.library / ".argosy" / "staging").mkdir(parents=True)
    (item,) = argosy.preview(voyage.file)
    paths = {
        "0-*.part": f"{Staging(StagingArea(voyage.library), item).whole(0, item.resources[0])}.part",
        "item-*": (voyage.library / file.name).parent,
    }
    command = strace("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO", "-P", str(paths[which]))
    program = [*command, sys.executable, "-m", "argosy", "download", str(voyage.file)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=100, check=False)
    ended(done, 5)
    assert voyage.done() == set()
    assert not (voyage.library / file.name).exists()
    left = [p for p in (voyage.library / ".argosy" / "staging").rglob("*") if ".part" in p.name]
    assert left == [], "the bytes whose fate nobody knows were kept"
    voyage.server.reset_stats()
    ended(voyage.run(), 0)
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(36)
@pytest.mark.parametrize("store", ["json-file", "sqlite", "netscape"])
def test_the_disk_of_the_cookie_store_is_full(set_sail: SetSail, small_disk: Path, store: str) -> None:
    voyage = set_sail(items=4, lease_mode="revoke", cookie_store={"use": store, "path": str(small_disk / "cookies")})
    ended(voyage.run(), 0)
    before = (small_disk / "cookies").read_bytes()
    stone = fill(small_disk, leave=0)
    voyage.server.reset_stats()
    ended(voyage.run("--force"), 5, str(small_disk / "cookies"))
    assert (small_disk / "cookies").read_bytes() == before
    assert voyage.server.stats().requests == 0, "something was sent although the mark could not be written"
    stone.unlink()
    ended(voyage.run("--force"), 0)
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(102)
@pytest.mark.parametrize("store", ["json-file", "sqlite", "netscape"])
def test_the_disk_of_the_cookie_store_fills_up_while_a_request_is_under_way(
    tmp_path: Path, small_disk: Path, filler: Filler, raw_server: Callable[..., Any], store: str
) -> None:
    """An imported session cannot be had again, so its newest token must find room."""
    good, refused, fill_at = ["1"], list[bytes](), 0

    def answer(server: Any, connection: socket.socket) -> None:
        while head := server.request(connection):
            if not head.rstrip().endswith(f"token={good[-1]}".encode()):
                refused.append(head)
            if len(good) == fill_at:
                filler.start(again=store != "sqlite")  # SQLite gets room only by having it freed
            good.append(f"{len(good) + 1}")
            body = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: token={}; Path=/\r\n\r\nbook"
            connection.sendall(body.format(good[-1]).encode())

    server = raw_server(answer)
    (tmp_path / "mine.json").write_text(json.dumps([{"name": "token", "value": "1", "domain": "127.0.0.1"}]), "utf-8")
    cookies = small_disk / "cookies"
    voyage = run_urls(
        tmp_path,
        *(f"{server.url}/{number}" for number in range(1, 13)),
        auth={"use": "cookies", "path": "mine.json"},
        cookie_store={"use": store, "path": str(cookies)},
        max_workers=1,
    )
    for options in ([], ["--force"]):  # after the first time, the reserve is made again
        fill_at = len(good) + 1
        ended(voyage.run(*options), 5, str(cookies))
        assert len(good) > fill_at
        assert refused == []
        filler.stop()
        ended(voyage.run(*options), 0)
        assert refused == []


@pytest.mark.torture(38)
@pytest.mark.parametrize("directory", ["a-file", "a-file/below", "loop"])
def test_the_target_cannot_be_a_directory(set_sail: SetSail, directory: str) -> None:
    voyage = set_sail(items=2)
    (voyage.root / "a-file").write_text("mine", "utf-8")
    (voyage.root / "loop").symlink_to("loop")
    voyage.config["directory"] = directory
    ended(voyage.run(), 5, directory)
    assert voyage.server.stats().requests == 0
    assert (voyage.root / "a-file").read_text("utf-8") == "mine"


def put_in_the_way(kind: str, target: Path, root: Path) -> None:
    """Put something under a final name that is not ours."""
    target.parent.mkdir(parents=True)
    match kind:
        case "symlink":
            (root / "precious").write_bytes(b"precious")
            target.symlink_to(root / "precious")
        case "dangling":
            target.symlink_to(root / "nowhere")
        case "fifo":
            os.mkfifo(target)
        case "directory":
            target.mkdir()
        case "file":
            target.write_bytes(b"precious")
        case "folder-symlink":
            (root / "elsewhere").mkdir()
            target.parent.rmdir()
            target.parent.symlink_to(root / "elsewhere")


@pytest.mark.torture(39)
@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("symlink", ()),
        ("symlink", ("--force",)),
        ("dangling", ()),
        ("fifo", ("--force",)),
        ("directory", ("--force",)),
        ("folder-symlink", ()),
    ],
)
def test_nothing_is_written_through_what_is_in_the_way(set_sail: SetSail, kind: str, flags: tuple[str, ...]) -> None:
    voyage = set_sail(items=3)
    target = voyage.library / "item-00002" / "part-01.bin"
    put_in_the_way(kind, target, voyage.root)
    before = target.lstat() if kind != "folder-symlink" else target.parent.lstat()
    ended(voyage.run(*flags), 1, "item-00002", "Move it away")
    assert (target.lstat() if kind != "folder-symlink" else target.parent.lstat()).st_ino == before.st_ino
    assert voyage.done() == {"item-00001", "item-00003"}
    if kind == "symlink":
        assert (voyage.root / "precious").read_bytes() == b"precious"
    assert not (voyage.root / "nowhere").exists()
    if kind == "folder-symlink":
        assert list((voyage.root / "elsewhere").iterdir()) == []


@pytest.mark.torture(40)
@pytest.mark.parametrize(("one", "other"), [("a/X.txt", "a/x.txt"), ("caf\u00e9", "cafe\u0301"), ("n" * 256, "m")])
def test_names_that_some_file_system_takes_for_one(set_sail: SetSail, one: str, other: str) -> None:
    voyage = set_sail(items=1)
    lines = [f'{{"url": "{voyage.server.url}/files/{n}", "path": "{name}"}}' for n, name in enumerate((one, other))]
    (voyage.root / "books.jsonl").write_text("\n".join(lines), "utf-8")
    ended(voyage.run(), 4, "books.jsonl:1" if len(one) > 255 else "books.jsonl:2")
    assert voyage.server.stats().requests == 0


@pytest.mark.slow
@pytest.mark.torture(44)
@pytest.mark.parametrize("descriptors", [20, 28, 40])
def test_too_few_file_descriptors(set_sail: SetSail, descriptors: int) -> None:
    voyage = set_sail(items=40, lease_mode="revoke", max_workers=32, size=200_000, rate=400_000)
    shell = f'ulimit -n {descriptors}; exec "$@"'
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "argosy", "download", str(voyage.file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    ended(done, 5)
    assert "ulimit -n" in done.stderr or "unable to open database file" in done.stderr
    assert voyage.damaged() == []
    ended(voyage.run(), 0)
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


def damages() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "half": lambda data: data[: len(data) // 2],
        "garbage": lambda data: b"\0\xff" * 2000,
        "flipped": lambda data: data.replace(b"token", b"tokem", 1),
        "empty": lambda data: b"",
    }


@pytest.mark.torture(41)
@pytest.mark.parametrize("how", sorted(damages()))
@pytest.mark.parametrize("use", ["json-file", "sqlite"])
def test_a_damaged_cookie_store_is_left_as_it_is(set_sail: SetSail, use: str, how: str) -> None:
    voyage = set_sail(items=2, cookie_store={"use": use, "path": "cookies"})
    ended(voyage.run(), 0)
    store = voyage.root / "cookies"
    damaged = damages()[how](store.read_bytes())
    store.write_bytes(damaged)
    voyage.server.reset_stats()
    ended(voyage.run("--force"), 5, str(store), "argosy login")
    assert store.read_bytes() == damaged
    assert voyage.server.stats().requests == 0


@pytest.mark.torture(41)
@pytest.mark.parametrize("how", ["half", "garbage", "row"])
def test_a_damaged_ledger_is_left_as_it_is(set_sail: SetSail, how: str) -> None:
    voyage = set_sail(items=40, size=100, max_workers=8)
    ended(voyage.run(), 0)
    ledger = voyage.library / ".argosy" / "ledger.sqlite"
    if how == "row":
        db = sqlite3.connect(ledger)
        db.execute("UPDATE items SET files = '[[' WHERE id = 'item-00007'")
        db.commit()
        db.close()
    else:
        ledger.write_bytes(damages()[how](ledger.read_bytes()))
    damaged = ledger.read_bytes()
    voyage.server.reset_stats()
    ended(voyage.run(), 5, "ledger.sqlite", "move it away")
    assert ledger.read_bytes() == damaged
    assert voyage.server.stats().requests == 0
    for leftover in ledger.parent.glob("ledger.sqlite*"):
        leftover.unlink()
    ended(voyage.run(), 0)
    assert voyage.wrong() == []


@pytest.mark.slow
@pytest.mark.torture(44)
@pytest.mark.parametrize("limit", [7, 8, 9, 10, 12, 16])
def test_out_of_file_descriptors(set_sail: SetSail, limit: int) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", max_workers=12, size=60_000, rate=100_000)
    command = [sys.executable, "-m", "argosy", "download", str(voyage.file)]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", *command], capture_output=True, text=True, check=False
    )  # fmt: skip
    ended(done, 5, "open files")
    assert voyage.damaged() == []
    ended(voyage.run(), 0)
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.torture(43)
def test_umask_000(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="revoke")
    url = voyage.server.url_for("/status/404") + "?token=in-the-url"
    with (voyage.root / "books.jsonl").open("a", encoding="utf-8") as manifest:
        manifest.write(f'{{"id": "secret", "url": "{url}"}}\n')
    done = voyage.run("--quiet", umask=0)
    assert done.returncode == 1, done.stderr
    for path in voyage.root.glob("cookies.json*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    # the ledger knows the URLs of what is not done
    assert stat.S_IMODE((voyage.library / ".argosy").stat().st_mode) == 0o700
