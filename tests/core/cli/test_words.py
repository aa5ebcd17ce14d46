"""What the words after ``argosy download`` mean."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from argosy.cli.words import sort_words

URL = "https://library.example/a.pdf"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("urls.txt", "books.jsonl", "argosy.toml", "list"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def test_a_configuration_has_its_own_source() -> None:
    given = sort_words(["argosy.toml"])
    assert (given.config, given.source()) == ("argosy.toml", None)


@pytest.mark.parametrize("name", ["urls.txt", "list"])
def test_a_file_is_a_list_of_urls(tmp_path: Path, name: str) -> None:
    assert sort_words([name]).source() == {"use": "urls", "file": str(tmp_path / name)}
    assert sort_words([], [name]).source() == {"use": "urls", "file": str(tmp_path / name)}


def test_a_file_of_json_lines_is_a_manifest(tmp_path: Path) -> None:
    assert sort_words(["books.jsonl"]).source() == {"use": "manifest", "path": str(tmp_path / "books.jsonl")}


def test_urls_and_a_list_and_a_configuration_go_together(tmp_path: Path) -> None:
    given = sort_words([URL, "argosy.toml", "urls.txt"])
    assert given.config == "argosy.toml"
    assert given.source() == {"use": "urls", "urls": [URL], "file": str(tmp_path / "urls.txt")}


def test_a_hyphen_is_standard_input() -> None:
    assert sort_words(["-"]).source() == {"use": "urls", "file": "-"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["example.org/a.pdf"], "add https://: https://example.org/a.pdf"),
        (["example.org"], "add https://: https://example.org"),
        (["localhost:8000/a"], "add https://: https://localhost:8000/a"),
        (["missing.txt"], "There is no file 'missing.txt'. URLs start with https://."),
        (["missing"], "There is no file 'missing'. URLs start with https://."),
        (["."], "'.' is a directory"),
        (["a.toml", "b.toml"], "Give one configuration, not both 'a.toml' and 'b.toml'."),
        (["urls.txt", "list"], "Give one list, not both 'urls.txt' and 'list'."),
        (["books.jsonl", URL], "Give the manifest 'books.jsonl' or URLs, not both."),
    ],
)
def test_other_words_are_errors(words: list[str], message: str) -> None:
    with pytest.raises(click.UsageError, match=re.escape(message)):
        sort_words(words)
