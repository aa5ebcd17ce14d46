"""The output `index`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy import FinishedItem, Item, PublishedFile
from argosy.interfaces.output import CollectingOutput, Output
from argosy.models.items import Verification
from argosy_plugins.outputs.index import COLUMNS, IndexOutput

Make = Callable[..., Output]

ITEMS = [
    FinishedItem(
        Item(f"b{n}", title, tags=("T",), metadata={"n": n}),
        (PublishedFile(f"b{n}/a.bin", n, "ab" * 32, Verification.DIGEST, "files"),),
        100.0,
    )
    for n, title in enumerate(["Eins", "with, comma\nand line", "=1+1", "x\ud800"])
]


def collected(output: Output, items: list[FinishedItem], scratch: Path) -> tuple[str, str]:
    assert isinstance(output, CollectingOutput)
    (product,) = output.collect(items, scratch)
    return product.name, product.file.read_text("utf-8")


def test_a_line_for_each_item(make: Make, tmp_path: Path) -> None:
    name, text = collected(make(IndexOutput), ITEMS, tmp_path)
    lines = [json.loads(line) for line in text.splitlines()]
    assert (name, [line["title"] for line in lines]) == ("index.jsonl", [i.item.title for i in ITEMS])
    assert lines[1] == {
        "id": "b1",
        "title": "with, comma\nand line",
        "tags": ["T"],
        "metadata": {"n": 1},
        "files": [{"name": "b1/a.bin", "size": 1, "sha256": "ab" * 32, "output": "files"}],
        "finished": "1970-01-01T00:01:40+00:00",
    }


def test_as_a_table_without_formulas(make: Make, tmp_path: Path) -> None:
    name, text = collected(make(IndexOutput, format="csv", name="a/all.csv"), ITEMS, tmp_path)
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    assert (name, tuple(rows[0])) == ("a/all.csv", COLUMNS)
    assert [row["title"] for row in rows] == ["Eins", "with, comma\nand line", "'=1+1", "x\\ud800"]
    assert json.loads(rows[1]["files"])[0]["name"] == "b1/a.bin"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_id_that_is_a_url_shows_no_secret(make: Make, tmp_path: Path, form: str) -> None:
    item = FinishedItem(Item("https://h/a?token=s3cret", "A"), (), 0.0)
    _, text = collected(make(IndexOutput, format=form), [item], tmp_path)
    assert "https://h/a?token=***" in text
    assert "s3cret" not in text


def test_nothing_is_made_of_each_item() -> None:
    assert IndexOutput.produce is CollectingOutput.produce
