"""Names of files made of a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import ConfigError
from argosy.models.items import Item
from argosy.toolkit.names import problem_of
from argosy_plugins.layout import Layout

DUNE = Item("b1", "Dune", tags=("Novel", "SF"), metadata={"author": ["Frank Herbert"], "year": 1965}, folder="b1")


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{folder}/{path}", "b1/text/1.html"),
        ("{tag}/{title} [{id}]/{path}", "Novel/Dune [b1]/text/1.html"),
        ("{tags}/{metadata.author}, {metadata.year}/{name}", "Novel, SF/Frank Herbert, 1965/1.html"),
        ("{metadata.series|nothing}/{number} {stem}{suffix}", "nothing/3 1.html"),
        ("{metadata.series}/{name}", "1.html"),
        ("{metadata.series|id}/{name}", "b1/1.html"),
        ("plain", "plain"),
    ],
)
def test_its_fields(template: str, name: str) -> None:
    assert Layout(template).name(DUNE, "text/1.html", 3) == name


def test_a_title_makes_no_folder_and_a_part_that_is_empty_is_left_out() -> None:
    item = Item("x", "../a/b", folder="")
    assert Layout("{tag}/{title}/{name}").name(item, "1").count("/") == 1
    assert Layout("{folder}/{path}").name(item, "a/b") == "a/b"
    assert Layout("{tag}").name(item) == "_"


def test_an_archive_has_its_ending_whatever_its_name() -> None:
    archive = Layout("{folder|id}", of_files=False)
    assert archive.name(DUNE, ending=".zip") == "b1.zip"
    assert archive.name(Item("x:1", ""), ending=".zip").endswith(".zip")
    long = archive.name(Item("i", "", folder="f" * 255), ending=".zip")
    assert (long.endswith(".zip"), problem_of(long)) == (True, None)


@given(st.text(), st.text(), st.text(), st.sampled_from(["", "a", "a/b"]))
def test_a_name_is_always_safe(id_: str, title: str, tag: str, folder: str) -> None:
    item = Item(id_, title, tags=(tag,), folder=folder, metadata={"k": title})
    for template in ("{tag}/{title} [{id}]/{path}", "{folder}/{metadata.k|id}/{name}", "{title}{tag}"):
        assert problem_of(Layout(template).name(item, "p/q.txt", 1)) is None
        assert problem_of(Layout(template).name(item, "p/q.txt", 1, ending=".zip")) is None


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{titel}/{path}", "no field {titel}"),
        ("{metadata.}/{path}", "no field"),
        ("{title", "other half"),
        ("{title}}", "other half"),
        ("{number} {path}", "several folders"),
        ("/{path}", "not a relative name"),
        ("", "not a relative name"),
    ],
)
def test_a_template_that_is_none(template: str, words: str) -> None:
    with pytest.raises(ConfigError, match="layout") as caught:
        Layout(template)
    assert words in str(caught.value)


def test_an_archive_knows_no_fields_of_files() -> None:
    with pytest.raises(ConfigError, match=r"no field \{path\}"):
        Layout("{path}", of_files=False)


def test_which_folders_are_of_one_item() -> None:
    flat = Item("x", "X")
    assert Layout("{tag}/{title} [{id}]/{path}").has_own_folder(flat)
    assert [Layout("{folder}/{path}").has_own_folder(item) for item in (DUNE, flat)] == [True, False]
    assert not Layout("{tag}/{title}/{path}").has_own_folder(DUNE)
