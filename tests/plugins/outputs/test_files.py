"""The output `files`."""

import json
from pathlib import Path

from argosy import Item, PluginContext, Product, Resource, StagedFile, StagedItem
from argosy.model import Verification
from argosy_plugins.outputs.files import FilesOutput


def staged(folder: str, tmp_path: Path) -> StagedItem:
    resources = (Resource("https://h/1", "a/1.html"), Resource("https://h/2", "2.html"))
    files = tuple(StagedFile(r, tmp_path / r.path, 3, "ab" * 32, Verification.NONE) for r in resources)
    return StagedItem(Item("b:1", "One", resources, ("T",), {"k": "é"}, folder), files)


def test_each_file_gets_the_name_its_item_asks_for(tmp_path: Path) -> None:
    made = list(FilesOutput({}, PluginContext()).produce(staged("b1", tmp_path), tmp_path))
    assert made == [Product("b1/a/1.html", tmp_path / "a/1.html"), Product("b1/2.html", tmp_path / "2.html")]
    made = list(FilesOutput({}, PluginContext()).produce(staged("", tmp_path), tmp_path))
    assert [product.name for product in made] == ["a/1.html", "2.html"]


def test_a_sidecar_says_what_is_known_of_the_item(tmp_path: Path) -> None:
    output = FilesOutput({"sidecar": True}, PluginContext())
    product = list(output.produce(staged("b1", tmp_path), tmp_path))[-1]
    assert product.name == "b1/metadata.json"
    known = json.loads(product.file.read_text("utf-8"))
    assert (known["id"], known["title"], known["tags"], known["metadata"]) == (
        "b:1",
        "One",
        ["T"],
        {"k": "é"},
    )
    assert [file["path"] for file in known["files"]] == ["a/1.html", "2.html"]


def test_the_sidecar_of_an_item_without_a_folder_has_its_id_in_its_name(tmp_path: Path) -> None:
    output = FilesOutput({"sidecar": True}, PluginContext())
    product = list(output.produce(staged("", tmp_path), tmp_path))[-1]
    assert product.name.startswith("b_1-")
    assert product.name.endswith(".metadata.json")
