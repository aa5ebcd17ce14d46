"""The source `urls`."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy import PluginContext
from argosy.errors import SourceError
from argosy.toolkit.names import problem_of
from argosy_plugins.sources.urls import Urls, full_path


def test_each_url_is_an_item_with_the_name_of_its_file(read: Any) -> None:
    text = "# books\n\nhttps://h/a/Moby%20Dick.pdf?x=1\r\n  https://h/b/#top  \nhttps://h/b/\n"
    items, error = read(Urls, "list.txt", text, file="list.txt")
    assert error == ""
    assert [(i.id, i.title, i.folder, i.resources[0].path) for i in items] == [
        ("https://h/a/Moby%20Dick.pdf?x=1", "Moby Dick.pdf", "", "Moby Dick.pdf"),
        ("https://h/b/", "index.html", "", "index.html"),
    ]
    assert items[0].origin == "list.txt:3"


def test_urls_of_the_configuration_come_first(read: Any) -> None:
    items, error = read(Urls, "l", "https://h/2\nhttps://h/1\n", urls=["https://h/1"], file="l")
    assert error == ""
    assert [item.id for item in items] == ["https://h/1", "https://h/2"]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfhttps://h/1")))
    assert [item.id for item in Urls({"file": "-"}, PluginContext()).items(requests.Session())] == ["https://h/1"]


def test_bad_urls_are_named_together_and_not_shown(read: Any) -> None:
    items, error = read(Urls, "l", b"https://u:hunter2@h/\nftp://h/\nhttps://h/ok\n\xff\n", file="l")
    assert [item.id for item in items] == ["https://h/ok"]
    assert "hunter2" not in error
    assert [line.partition(";")[0] for line in error.splitlines()[1:]] == [
        "  l:1: the URL has a user name or a password in it (not shown here)",
        "  l:2: the URL does not begin with http:// or https://",
        "  l:4: byte 0xff at column 1 is not UTF-8",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.txt cannot be read: No such file"):
        list(Urls({"file": "none.txt"}, PluginContext(base=tmp_path)).items(requests.Session()))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://H.example", "h.example/index.html"),
        ("https://h:443/a/b/", "h/a/b/index.html"),
        ("http://h:8080/a.txt", "h+8080/a.txt"),
        ("https://h/a/p.html?x=1", "h/a/p-1f206b11.html"),
    ],
)
def test_the_full_path_of_a_url(url: str, path: str) -> None:
    assert full_path(url) == path


@pytest.mark.parametrize("url", ["https://h/../x//y/%2e%2e/z", "https://[::1]/CON/a", "https://h/" + "long/" * 400])
def test_a_full_path_is_a_name_without_a_problem(url: str) -> None:
    assert problem_of(full_path(url)) is None


def test_two_queries_get_two_full_paths(read: Any) -> None:
    items, _ = read(Urls, "l", "https://h/get?id=1\nhttps://h/get?id=2\n", file="l", paths="full")
    assert len({item.resources[0].path for item in items}) == 2
