"""The output `files`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from argosy import StagedItem
from argosy.errors import ConfigError
from argosy.interfaces.output import Output
from argosy_plugins.outputs.files import FilesOutput

Stage = Callable[..., StagedItem]
Make = Callable[..., Output]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_each_file_gets_the_name_its_item_asks_for(stage: Stage, make: Make, scratch: Path) -> None:
    item = stage()
    made = list(make(FilesOutput).produce(item, scratch))
    assert [p.name for p in made] == ["b1/a/1.html", "b1/2.html"]
    assert [p.file for p in made] == [file.path for file in item.files]
    assert [p.name for p in make(FilesOutput).produce(stage(""), scratch)] == ["a/1.html", "2.html"]


def test_a_layout_gives_other_names_and_says_them_beforehand(stage: Stage, make: Make, scratch: Path) -> None:
    output, item = make(FilesOutput, layout="{tag}/{title}/{number} {name}"), stage()
    names = ["T/One/1 1.html", "T/One/2 2.html"]
    assert list(output.names(item.item)) == [p.name for p in output.produce(item, scratch)] == names


def test_a_name_that_the_server_gives_is_not_said_beforehand(stage: Stage, make: Make) -> None:
    item = stage().item
    asked = tuple(replace(r, content_disposition=True) for r in item.resources)
    assert list(make(FilesOutput).names(replace(item, resources=asked))) == []


def test_files_have_the_times_of_the_server_unless_told_otherwise(stage: Stage, make: Make, scratch: Path) -> None:
    assert {p.modified for p in make(FilesOutput).produce(stage(), scratch)} == {100.0}
    assert {p.modified for p in make(FilesOutput, times="download").produce(stage(), scratch)} == {None}


@pytest.mark.parametrize(
    ("options", "folder", "name"),
    [
        ({"sidecar": True}, "b1", "b1/metadata.json"),
        ({"sidecar": True}, "", "b_1-34340f0e.metadata.json"),
        (
            {"sidecar": True, "layout": "{tag}/{title} [{id}]/{path}"},
            "b1",
            "T/One [b_1]-948655ed/metadata.json",
        ),
        ({"sidecar": True, "layout": "{tag}/{name}"}, "b1", "T/b_1-34340f0e.metadata.json"),
        ({"sidecar": "about/{title}.json"}, "b1", "about/One.json"),
    ],
)
def test_a_sidecar_says_what_is_known_of_the_item(
    stage: Stage, make: Make, scratch: Path, options: dict[str, object], folder: str, name: str
) -> None:
    output, item = make(FilesOutput, **options), stage(folder)
    product = list(output.produce(item, scratch))[-1]
    assert (product.name, list(output.names(item.item))[-1]) == (name, name)
    known = json.loads(product.file.read_text("utf-8"))
    assert {key: known[key] for key in ("id", "title", "tags", "metadata")} == {
        "id": "b:1",
        "title": "One",
        "tags": ["T"],
        "metadata": {"k": "é"},
    }
    assert [(f["path"], f["size"]) for f in known["files"]] == [("a/1.html", 3), ("2.html", 3)]
    assert "https://" not in product.file.read_text("utf-8")


def test_half_a_surrogate_pair_in_a_title_can_be_written(stage: Stage, make: Make, scratch: Path) -> None:
    output = make(FilesOutput, sidecar=True)
    product = list(output.produce(stage(title="x\ud800"), scratch))[-1]
    assert json.loads(product.file.read_text("utf-8"))["title"] == "x\ud800"


def test_a_layout_that_is_none_is_an_error_of_the_configuration(make: Make) -> None:
    for options in ({"layout": "{titel}"}, {"sidecar": "{path}.json"}):
        with pytest.raises(ConfigError, match="no field"):
            make(FilesOutput, **options)
