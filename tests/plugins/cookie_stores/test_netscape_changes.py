"""What the netscape store makes of a cookies.txt that another tool has changed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.errors import GenerationMoved
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, Status
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.netscape import NetscapeStore
from cookies_txt import (
    OTHER_SITE,
    TOKEN,
    begin,
    dead_holder,
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


def test_what_another_tool_wrote_is_the_newest(store: NetscapeStore, path: Path, told: list[str]) -> None:
    lang = Cookie("lang", "en", "library.example", scheme="https", port=443)
    before = begin(store, lang)
    write(path, *(text for text in lines(path) if "token" not in text), line("curl-1"))
    record = read(store)
    assert record.cookies == (replace(TOKEN, value="curl-1", scheme=None, port=None), lang)
    assert (record.generation, record.logins) == (before.generation + 1, before.logins + 1)
    assert any("has changed the cookies" in text for text in told)
    with pytest.raises(GenerationMoved):
        go_on(store, before)
    assert lines(path)[-1] == line("curl-1")


@pytest.mark.parametrize("rest", ["", line("t0")[:20]])
def test_a_file_that_is_being_written_for_the_first_time_is_waited_for(
    store: NetscapeStore, path: Path, rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(rest, "utf-8")  # curl empties the file before it writes another one beside it
    soon = time.time() + 60
    os.utime(path, (soon, soon))  # recent, however busy the machine is
    monkeypatch.setattr(time, "sleep", lambda seconds: write(path, line("t1")))
    assert read(store).cookies[0].value == "t1"


def test_an_old_empty_file_is_no_session(store: NetscapeStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
    assert store.read("default") is None


def test_a_mark_of_the_dead_is_superseded_by_a_new_token_only(store: NetscapeStore, path: Path) -> None:
    holder = dead_holder()
    write(path, line("t0"), OTHER_SITE)
    record = read(store)
    record = go_on(store, record, cookies=(replace(record.cookies[0], value="t1"), record.cookies[1]))
    go_on(store, record, status=Status.IN_FLIGHT, holder=holder)
    write(path, line("t1"), OTHER_SITE.replace("apples", "pears"), "# and nothing else")
    assert read(store).holder == holder, "a visit to another site says nothing of the token"
    write(path, line("t0"), OTHER_SITE)
    assert read(store).holder == holder, "nor does an older token"
    write(path, line("curl-1"), OTHER_SITE)
    assert (read(store).status, read(store).holder) == (Status.IDLE, None)


def test_a_new_cookie_says_nothing_of_a_header_token_in_doubt(store: NetscapeStore, path: Path) -> None:
    holder, token = dead_holder(), HeaderToken("access-token", "a1", ("https://library.example",))
    record = go_on(store, begin(store), cookies=(replace(TOKEN, value="t1"),), headers=(token,))
    go_on(store, record, status=Status.IN_FLIGHT, holder=holder)
    write(path, line("curl-1"))
    assert (read(store).status, read(store).holder) == (Status.IN_FLIGHT, holder)


def test_a_mark_of_the_living_stands_and_its_answer_comes_on_top(store: NetscapeStore, path: Path) -> None:
    record = go_on(store, begin(store), status=Status.IN_FLIGHT, holder=this_holder())
    write(path, line("curl-1"))
    with pytest.raises(GenerationMoved):
        go_on(store, record, status=Status.IDLE, holder=None, cookies=(replace(TOKEN, value="t2"),))
    newest = read(store)
    assert (newest.status, newest.holder) == (Status.IN_FLIGHT, record.holder)
    assert newest.cookies[0].value == "curl-1"


def test_older_cookies_are_not_taken_back(store: NetscapeStore, path: Path, told: list[str]) -> None:
    record = begin(store)
    old = path.read_bytes()
    added = Cookie("page", "7", "library.example")
    record = go_on(store, record, cookies=(replace(TOKEN, value="t2"), added))
    record = go_on(store, record, cookies=(replace(TOKEN, value="t3"), added))
    path.write_bytes(old)
    assert read(store) == record
    assert lines(path) == [line("t3"), "library.example\tFALSE\t/\tFALSE\t0\tpage\t7"]
    assert any("older cookies" in text for text in told)


def test_a_value_that_the_service_gives_again_is_no_old_one(store: NetscapeStore, path: Path) -> None:
    record = begin(store)
    record = go_on(store, record, cookies=(replace(TOKEN, value="t2"),))
    record = go_on(store, record, cookies=(TOKEN,))
    go_on(store, record, cookies=(replace(TOKEN, value="t3"),))
    go_on(store, read(store), cookies=(TOKEN,))
    write(path, line("t1"))
    assert read(store).cookies == (TOKEN,)


def test_a_session_whose_cookies_were_taken_out_has_ended(store: NetscapeStore, path: Path, told: list[str]) -> None:
    begin(
        store,
        Cookie("lang", "en", "library.example"),
        Cookie("basket", "apples", "shop.example", host_only=False),
    )
    write(path, "library.example\tFALSE\t/\tFALSE\t0\tlang\ten", OTHER_SITE)
    assert read(store).status is Status.IDLE, "something is left, and the service will say whether it is enough"
    write(path, OTHER_SITE)
    assert read(store).status is Status.DEAD
    assert sum("removed cookies of the session" in text for text in told) == 2
    write(path, line("curl-1"))
    assert read(store).is_usable


def test_a_cookie_that_lives_longer_keeps_where_it_came_from(store: NetscapeStore, path: Path) -> None:
    end = int(time.time()) + 1000
    record = begin(store, Cookie("kept", "1", "library.example", expires=end + 0.5, scheme="https", port=443))
    write(path, line("t1"), f"library.example\tFALSE\t/\tFALSE\t{end}\tkept\t1")
    assert read(store) == record
    write(path, line("t1"), f"library.example\tFALSE\t/\tFALSE\t{end + 50}\tkept\t1")
    assert read(store).cookies[1] == replace(record.cookies[1], expires=end + 50)
    assert read(store).logins == record.logins


def test_a_file_that_was_removed_is_no_session(store: NetscapeStore, path: Path) -> None:
    begin(store)
    go_on(store, read(store))
    path.unlink()
    assert (store.read("default"), store.sessions()) == (None, [])
    store.sync()
    store.remove("default")
    begin(store)
    assert read(open_store(path)).cookies == (TOKEN,)


def test_what_the_format_cannot_say_is_kept_beside_it(store: NetscapeStore, path: Path) -> None:
    odd = (
        Cookie("", "no name", "library.example"),
        Cookie("tab", "a\tb", "library.example"),
        Cookie("wide", "\u20ac", "library.example"),
        Cookie("two", "1", "library.example", scheme="https", port=443),
        Cookie("two", "2", "library.example", scheme="https", port=8443),
        Cookie("half", "x", "library.example", expires=time.time() + 1000.5),
        Cookie("past", "x", "library.example", expires=0.5),
    )
    record = begin(store, *odd)
    names = [text.split("\t")[5] for text in lines(path)]
    assert sorted(names) == ["half", "past", "token", "two"]
    write(path, *(text for text in lines(path) if "token" not in text), line("curl-1"))
    assert read(store).cookies == (
        replace(TOKEN, value="curl-1", scheme=None, port=None),
        *record.cookies[1:],
    )
