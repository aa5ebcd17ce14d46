"""The netscape store: a cookies.txt that other tools write, and what is kept beside it."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.errors import StoreDamaged, StoreError
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy_plugins.cookie_stores.netscape import NetscapeStore
from cookies_txt import (
    OTHER_SITE,
    TITLE,
    TOKEN,
    begin,
    go_on,
    line,
    lines,
    open_store,
    read,
    write,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cookies.txt"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(path: Path, told: list[str]) -> NetscapeStore:
    return open_store(path, told)


# -- a file that another tool has made


def test_a_file_that_curl_made_is_a_session_that_is_logged_in(store: NetscapeStore, path: Path) -> None:
    write(path, line("abc"), OTHER_SITE, "library.example\tFALSE\t/\tFALSE\t1000\told\tgone")
    record = read(store)
    assert record.cookies == (
        Cookie("token", "abc", "library.example", secure=True, http_only=True),
        Cookie("basket", "apples", "shop.example", host_only=False),
    )
    assert (record.generation, record.logins, record.status, record.is_usable) == (1, 1, Status.IDLE, True)
    assert open_store(path).read("default") == record, "it is one record for all who look"
    assert store.sessions() == ["default"]


@pytest.mark.parametrize("text", ["", TITLE, TITLE + "library.example\tFALSE\t/\tFALSE\t1000\told\tgone\n"])
def test_a_file_without_cookies_is_no_session(store: NetscapeStore, path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    assert (store.read("default"), store.sessions()) == (None, [])
    begin(store)
    assert lines(path)[-1] == line("t1")


def test_bytes_beyond_ascii_come_back_as_they_were(store: NetscapeStore, path: Path) -> None:
    path.write_bytes(TITLE.encode() + b"library.example\tFALSE\t/\tFALSE\t0\tname\t\xff\xc3\xa9\n")
    record = read(store)
    assert record.cookies[0].value == "\xff\xc3\xa9", "as a header has it"
    go_on(store, record, cookies=(*record.cookies, TOKEN))
    assert b"\tname\t\xff\xc3\xa9\n" in path.read_bytes()


def test_comments_and_lines_that_nobody_understands_stay(store: NetscapeStore, path: Path) -> None:
    write(path, "# my own note", line("abc"), "what is this", OTHER_SITE)
    record = read(store)
    record = go_on(store, record, cookies=(TOKEN, record.cookies[1]))
    write(path, *lines(path), "# another one")
    go_on(store, read(store), cookies=(replace(TOKEN, value="t2"), record.cookies[1]))
    assert lines(path) == ["# my own note", "what is this", "# another one", line("t2"), OTHER_SITE]


def test_cookies_of_other_sites_outlive_a_login_and_a_logout(store: NetscapeStore, path: Path) -> None:
    write(path, line("abc"), OTHER_SITE)
    record = go_on(store, read(store), cookies=(TOKEN,), logins=2)
    assert lines(path) == [OTHER_SITE, line("t1")]
    changed_there = OTHER_SITE.replace("apples", "pears")
    write(path, line("t1"), changed_there)
    assert read(store) == record, "what is not the session's is no change of it"
    store.remove("default")
    assert (store.read("default"), open_store(path).read("default")) == (None, None)
    assert lines(path) == [changed_there]
    begin(store)
    assert lines(path) == [changed_there, line("t1")]


# -- kills, and writers that do not rename


def test_a_file_that_is_behind_is_put_right(store: NetscapeStore, path: Path) -> None:
    """A process that is killed between the two files leaves the record of the new one, and the old one."""
    record = begin(store)
    old = path.read_bytes()
    record = go_on(store, record, cookies=(replace(TOKEN, value="t2"), Cookie("new", "1", "library.example")))
    path.write_bytes(old)
    assert read(open_store(path)) == record
    assert line("t2") in lines(path)
    path.write_bytes(old)
    go_on(open_store(path), record)
    assert line("t2") in lines(path)


def test_a_first_file_that_was_not_written_any_more_is_written(store: NetscapeStore, path: Path) -> None:
    store.write(SessionRecord("default", 1, (TOKEN,), logins=1), 0)
    path.unlink()
    assert read(open_store(path)).cookies == (TOKEN,)
    assert lines(path) == [line("t1")]


@pytest.mark.parametrize("cut", [0, 10, 40, 60])
def test_a_file_that_is_being_written_is_waited_for(store: NetscapeStore, path: Path, cut: int) -> None:
    """wget and yt-dlp write in place; half of that is not read as a session, nor taken for damage."""
    begin(store)
    text = TITLE + line("yt-dlp-1") + "\n"
    half = threading.Event()

    def write_slowly() -> None:
        with path.open("w", encoding="utf-8") as file:
            file.write(text[:cut])
            file.flush()
            half.set()
            time.sleep(0.1)
            file.write(text[cut:])

    writer = threading.Thread(target=write_slowly)
    writer.start()
    half.wait()
    record = read(store)
    writer.join()
    assert record.cookies[0].value == "yt-dlp-1"


# -- what is no such file


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "a letter": lambda data: b"Dear Charles,\nthe engine is late again.\n",
    "zeros": lambda data: data[:50].ljust(len(data), b"\0"),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "JSON": lambda data: b'[{"name": "token"}]\n',
    "cut off": lambda data: data[:-3],
    "huge": lambda data: data + b"# cookies\n" * 1_100_000,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_an_error_and_left_as_it_is(store: NetscapeStore, path: Path, what: str) -> None:
    record = go_on(store, begin(store))
    damaged = DAMAGE[what](path.read_bytes())
    path.write_bytes(damaged)
    beside = path.with_name("cookies.txt.session.json").read_bytes()
    calls: list[Callable[[], object]] = [lambda: store.read("default"), lambda: go_on(store, record)]
    for call in calls:
        with pytest.raises(StoreDamaged, match="was not changed") as error:
            call()
        assert "argosy login CONFIG" in (error.value.hint or "")
        assert "t1" not in str(error.value)
    assert path.read_bytes() == damaged
    assert path.with_name("cookies.txt.session.json").read_bytes() == beside


@pytest.mark.parametrize("what", ["directory", "fifo", "below a file"])
def test_what_is_no_file_is_refused(path: Path, what: str) -> None:
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("a file", "utf-8")
        path = path / "cookies.txt"
    store = open_store(path)
    with pytest.raises(StoreError) as error:
        store.read("default")
    assert error.value.hint
    with pytest.raises(StoreError):
        store.write(SessionRecord("default", 1), 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cookies.txt")
        write(path, line("abc"))
        os.chown(path, 54321, 54321)
        path.chmod(0o600)
        path.parent.chmod(0o755)
        store = open_store(path)
        os.seteuid(54321)
        try:
            with pytest.raises(StoreError) as error:
                store.read("default")
        finally:
            os.seteuid(0)
        assert error.value.hint
        assert lines(path) == [] or "abc" in path.read_text("utf-8")


def test_a_link_is_followed(path: Path) -> None:
    real = path.parent / "elsewhere" / "jar.txt"
    real.parent.mkdir()
    path.symlink_to(real)
    first, second = open_store(path), open_store(real)
    begin(first)
    assert (path.is_symlink(), lines(real)) == (True, [line("t1")])
    hold = first.acquire("default")
    assert hold is not None
    assert second.acquire("default", wait=False) is None
    hold()
    assert read(second) == read(first)


def test_a_file_that_others_may_read_is_taken_back(store: NetscapeStore, path: Path, told: list[str]) -> None:
    write(path, line("abc"))
    path.chmod(0o644)
    read(store)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}
    assert any("mode 644" in text for text in told)


# -- several sessions, and other readers


def test_each_session_has_a_file_of_its_own(store: NetscapeStore, path: Path) -> None:
    begin(store)
    store.write(SessionRecord("default-2", 1, (replace(TOKEN, value="x"),), logins=1), 0)
    assert lines(path.with_name("cookies.default-2.txt")) == [line("x")]
    assert lines(path) == [line("t1")]
    assert store.sessions() == ["default", "default-2"]
    other = open_store(path.with_name("cookies.default-2.txt"))
    with pytest.raises(StoreError, match="holds the session 'default-2', and 'default' was asked for"):
        other.read("default")
    path.with_name("cookies.backup.txt").write_bytes(path.read_bytes())
    assert store.sessions() == ["default", "default-2"], "a copy is no session"


def test_for_wget_lines_have_a_port_and_no_prefix(path: Path) -> None:
    store = open_store(path, dialect="wget")
    record = begin(store, Cookie("wide", "1", "library.example", host_only=False, scheme="https", port=443))
    assert lines(path) == [
        "library.example:443\tFALSE\t/\tTRUE\t0\ttoken\tt1",
        ".library.example\tTRUE\t/\tFALSE\t0\twide\t1",
    ]
    path.write_text("# HTTP Cookie File\n" + "\n".join(reversed(lines(path))) + "\n", "utf-8")
    assert read(store) == record
    assert read(open_store(path)) == record
    go_on(open_store(path), record)
    assert line("t1") in lines(path), "a change of the reader is written with the next change"


def test_wget_puts_a_newer_cookie_beside_the_one_without_a_port(store: NetscapeStore, path: Path) -> None:
    begin(store)
    newer = line("wget-1").removeprefix("#HttpOnly_").replace("example\t", "example:443\t", 1)
    for order in ((newer, line("t1")), (line("t1"), newer)):
        write(path, *order)
        assert read(store).cookies == (replace(TOKEN, value="wget-1", scheme=None),)


# -- the file beside it


def test_without_the_file_beside_it_the_cookies_are_a_session(store: NetscapeStore, path: Path) -> None:
    begin(store)
    path.with_name("cookies.txt.session.json").unlink()
    record = read(store)
    assert (record.cookies[0].value, record.generation, record.logins) == ("t1", 1, 1)


def test_a_thousand_replaced_values_are_known_again(store: NetscapeStore, path: Path) -> None:
    record = begin(store)
    for number in range(2, 1002):
        record = go_on(store, record, cookies=(replace(TOKEN, value=f"t{number}"),))
    write(path, line("t2"))
    assert read(store) == record
    assert path.with_name("cookies.txt.session.json").stat().st_size < 12_000
