"""The source `manifest`."""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from argosy import PluginContext
from argosy.errors import ConfigError, SourceError
from argosy.models.items import Item, Resource
from argosy.toolkit.names import safe_part
from argosy_plugins.sources.manifest import Manifest
from argosy_plugins.sources.manifest_entry import entry_to_item

BOOK = {
    "id": "b/1",
    "title": "One",
    "tags": ["Python"],
    "metadata": {"year": 1999},
    "resources": [
        {"url": "https://h/1/ch1.html#top", "size": 3, "sha256": "AB" * 32},
        {"url": "https://h/1/ch2", "path": "text/2.html", "size": None},
    ],
}
#: The examples of the published schema.
EXAMPLES = Path(__file__).parents[2] / "schemas" / "manifest-line.v1"
FOLDER = "b_1-c2c4324f"


def test_an_entry_with_resources_is_an_item_in_a_folder_of_its_own(read: Any) -> None:
    items, error = read(Manifest, "m.jsonl", json.dumps(BOOK), path="m.jsonl")
    assert error == ""
    assert items == [
        Item(
            id="b/1",
            title="One",
            resources=(
                Resource("https://h/1/ch1.html", "ch1.html", 3, {"sha256": "ab" * 32}),
                Resource("https://h/1/ch2", "text/2.html"),
            ),
            tags=("Python",),
            metadata={"year": 1999},
            folder=FOLDER,
            origin="m.jsonl:1",
        )
    ]


def test_a_bare_url_lies_in_the_target_itself(read: Any) -> None:
    text = '{"url": "https://h/a.pdf"}\n{"id": "x", "url": "https://h/b", "path": "c/d.pdf", "md5": null}\n'
    items, error = read(Manifest, "m.jsonl", text, path="m.jsonl")
    assert error == ""
    assert [(i.id, i.title, i.folder, i.names()) for i in items] == [
        ("https://h/a.pdf", "a.pdf", "", ("a.pdf",)),
        ("x", "x", "", ("c/d.pdf",)),
    ]


def test_an_entry_without_an_id_is_called_by_its_url(read: Any) -> None:
    items, error = read(Manifest, "m.jsonl", '{"resources": [{"url": "https://h/a#b"}]}', path="m.jsonl")
    assert error == ""
    assert (items[0].id, items[0].folder) == ("https://h/a", safe_part("https://h/a"))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.json")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_the_reader_and_the_schema_agree(file: Path) -> None:
    problems: list[str] = []
    entry_to_item(json.loads(file.read_text()), "here", lambda found, expected: problems.append(found))
    assert bool(problems) == (file.parent.name == "invalid")


@pytest.mark.torture(53)
def test_byte_order_mark_line_ends_and_blank_lines_do_not_matter(read: Any) -> None:
    raw = b'\xef\xbb\xbf{"url": "https://h/1"}\r\n\r\n   \n{"url": "https://h/2"}'
    items, error = read(Manifest, "m.jsonl", raw, path="m.jsonl")
    assert error == ""
    assert [item.origin for item in items] == ["m.jsonl:1", "m.jsonl:4"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("[1]", "an array; an object"),
        ("null", "null; an object"),
        ("{", "not JSON: expecting property name"),
        ('{"url": "https://h/"} x', "more text after the JSON value (column 23)"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 5000, "too many digits"),
        ('{"url": "https://h/", "url": "https://g/"}', "the key 'url' twice"),
        ('{"url": "https://h/", "metadata": {"x": NaN}}', "NaN"),
        ('{"url": "https://h/", "metadata": {"x": 1e999}}', "out of range"),
        ('{"url": "https://h/", "title": "\\ud800"}', "surrogate"),
        ('{"url": "https://h/", "titel": "x"}', "unknown key 'titel'; did you mean \"title\"?"),
        ('{"url": "https://h/", "headers": ["X-A: b"]}', '"headers" is an array; an object such as'),
        ('{"url": "https://h/", "headers": {"Cookie": "a=b"}}', "the header field 'Cookie' is not one to set"),
        ('{"url": "https://h/", "headers": {"X-A": 1}}', "the value of the header field 'X-A' is empty, or has"),
        ('{"url": "https://h/", "referer": "origin"}', 'the referer is neither an http or https URL nor "self"'),
        ('{"url": "https://h/", "zzz": 1}', "unknown key 'zzz'; one of blake2b, body, content_type,"),
        ("{}", 'neither "url" nor "resources"'),
        ('{"url": 5}', '"url" is a number'),
        ('{"url": "https://u:hunter2@h/"}', "password"),
        ('{"url": "ftp://h/"}', "http"),
        ('{"url": "https://h/\\r\\nX: y"}', "U+000D"),
        ('{"url": "https:///x"}', "no host"),
        ('{"url": "https://h/", "id": 5}', '"id" is a number'),
        ('{"url": "https://h/", "id": ""}', "\"id\" is ''"),
        ('{"url": "https://h/", "id": "a\\u001b[2J"}', "control characters"),
        ('{"url": "https://h/", "title": []}', '"title" is an array'),
        ('{"url": "https://h/", "tags": "Python"}', '"tags" is a string'),
        ('{"url": "https://h/", "tags": ["a", 1]}', '"tags" has a number in it'),
        ('{"url": "https://h/", "metadata": []}', '"metadata" is an array'),
        ('{"url": "https://h/", "size": -1}', '"size" is -1'),
        ('{"url": "https://h/", "size": 1.5}', '"size" is 1.5'),
        ('{"url": "https://h/", "size": true}', '"size" is true'),
        ('{"url": "https://h/", "size": "3"}', '"size" is a string'),
        ('{"url": "https://h/", "sha256": "abc"}', '"sha256" is 3 characters long; 64 hex digits'),
        ('{"url": "https://h/", "md5": "' + "g" * 32 + '"}', '"md5" is not hex'),
        ('{"url": "https://h/", "path": "../x"}', "'..'"),
        ('{"url": "https://h/", "path": "/x"}', "absolute"),
        ('{"url": "https://h/", "path": "a\\u202eb"}', "U+202E"),
        ('{"url": "https://h/", "path": ""}', "is empty"),
        ('{"id": "a", "resources": []}', '"resources" is empty'),
        ('{"id": "a", "resources": {}}', '"resources" is an object'),
        ('{"id": "a", "resources": [1]}', "resource 1: a number"),
        ('{"id": "a", "resources": [{"url": "https://h/", "pth": ""}]}', "resource 1: unknown key 'pth'"),
        ('{"id": "a", "resources": [{"path": "x"}]}', 'resource 1: no "url"'),
        ('{"id": "a", "url": "https://h/", "resources": [{"url": "https://h/"}]}', 'beside "resources"'),
    ],
)
@pytest.mark.torture(52)
def test_a_wrong_line_is_named_and_yields_nothing(read: Any, line: str, found: str) -> None:
    text = f'{{"url": "https://h/1"}}\n{line}\n{{"url": "https://h/3"}}\n'
    items, error = read(Manifest, "m.jsonl", text, path="m.jsonl")
    assert [item.origin for item in items] == ["m.jsonl:1", "m.jsonl:3"]
    problems = error.splitlines()[1:]
    assert all(problem.startswith("  m.jsonl:2: ") for problem in problems)
    assert found in problems[0]
    assert "hunter2" not in error
    assert all(problem.isprintable() for problem in problems)


def test_bad_utf8_and_lines_without_end_are_named(read: Any) -> None:
    raw = b'{"url": "https://h/1"}\n{"title": "\xff"}\n' + b"x" * (10 * 1024 * 1024 + 5) + b'\n{"url": "https://h/4"}'
    items, error = read(Manifest, "m.jsonl", raw, path="m.jsonl")
    assert [item.origin for item in items] == ["m.jsonl:1", "m.jsonl:4"]
    assert "m.jsonl:2: byte 0xff at column 12 is not UTF-8" in error
    assert "m.jsonl:3: the line is longer than 10 MiB" in error


def test_utf16_is_told_apart(read: Any) -> None:
    _, error = read(Manifest, "m.jsonl", '{"url": "https://h/"}'.encode("utf-16"), path="m.jsonl")
    assert "m.jsonl:1: it begins like UTF-16 text; save the file as UTF-8" in error


def test_only_the_first_twenty_problems_are_named(read: Any) -> None:
    items, error = read(Manifest, "m.jsonl", "x\n" * 30 + '{"url": "https://h/"}', path="m.jsonl")
    assert items == []
    assert len(error.splitlines()) == 21
    assert "the first 20 problems" in error


def test_the_form_is_told_by_the_suffix_or_said(read: Any, tmp_path: Path) -> None:
    text = '{"url": "https://h/1"}'
    assert len(read(Manifest, "m.ndjson", text, path="m.ndjson")[0]) == 1
    assert len(read(Manifest, "m.txt", text, path="m.txt", format="jsonl")[0]) == 1
    with pytest.raises(ConfigError, match="form of the manifest"):
        list(Manifest({"path": "m.txt"}, PluginContext(base=tmp_path)).items(requests.Session()))


def test_standard_input_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"url": "https://h/1"}\n{}')))
    items = Manifest({"path": "-"}, PluginContext()).items(requests.Session())
    assert next(items).origin == "standard input:1"
    with pytest.raises(SourceError, match=r"standard input:2: neither"):
        next(items)


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").mkdir()
    with pytest.raises(SourceError, match=r"m\.jsonl cannot be read: Is a directory"):
        list(Manifest({"path": "m.jsonl"}, PluginContext(base=tmp_path)).items(requests.Session()))


class TestArray:
    def test_is_read_item_by_item(self, read: Any) -> None:
        text = "\ufeff [\n" + ",\n".join(json.dumps({**BOOK, "id": f"b{n}"}) for n in range(2000)) + "\n] \n"
        items, error = read(Manifest, "m.json", text, path="m.json")
        assert error == ""
        assert [item.id for item in items] == [f"b{n}" for n in range(2000)]
        assert items[4].origin == "m.json: item 5"

    @pytest.mark.parametrize("text", ["[]", " [ ] ", "[\n]\n"])
    def test_may_be_empty(self, read: Any, text: str) -> None:
        assert read(Manifest, "m.json", text, path="m.json") == ([], "")

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "m.json:1: no JSON array"),
            ('{"url": "https://h/"}', "m.json:1: no JSON array"),
            ('[\n{"url": "https://h/"}\n{"url": "https://h/"}]', "m.json:3: no comma after item 1"),
            ('[{"url": "https://h/"},\n {"url":\n ]', "m.json:3: item 2 is not JSON: expecting value"),
            ('[{"url": "https://h/"},\n', "m.json:2: item 2 is not JSON"),
            ('[{"url": "https://h/"}', "m.json:1: no comma after item 1"),
            ('[{"url": "https://h/"}]\n x', "m.json:2: more text after the array"),
            ('[{"url": "https://h/"},\n 12, {"url": 1, "url": 2}]', "m.json: item 2: a number"),
        ],
    )
    def test_a_wrong_one_is_named(self, read: Any, text: str, found: str) -> None:
        assert found in read(Manifest, "m.json", text, path="m.json")[1]

    def test_bad_utf8_is_named_once_with_its_line(self, read: Any) -> None:
        _, error = read(Manifest, "m.json", b'[{"url": "https://h/"},\n"\xff"]', path="m.json")
        assert error.splitlines()[1:] == ["  m.json:2: byte 0xff is not UTF-8; save the file as UTF-8"]

    def test_an_item_without_end_is_refused_before_it_fills_the_memory(self, read: Any) -> None:
        _, error = read(Manifest, "m.json", '["' + "x" * (21 * 1024 * 1024), path="m.json")
        assert "m.json:1: item 1 is not JSON, or longer than 10 MiB" in error


class TestCsv:
    def test_rows_of_one_id_are_one_item(self, read: Any) -> None:
        text = (
            "id,title,url,path,size,sha256,tags,year\r\n"
            f'a,"A, one",https://h/1,,5,{"ab" * 32},Python; Go,1999\r\n'
            "a,,https://h/2,x/2.html,,,,\r\n\r\n"
            "b,B,https://h/3,,,,,\r\n"
            ",,https://h/4.pdf,,,,,\r\n"
        )
        items, error = read(Manifest, "m.csv", text, path="m.csv")
        assert error == ""
        assert items[0] == Item(
            id="a",
            title="A, one",
            resources=(
                Resource("https://h/1", "1", 5, {"sha256": "ab" * 32}),
                Resource("https://h/2", "x/2.html"),
            ),
            tags=("Python", "Go"),
            metadata={"year": "1999"},
            folder="a",
            origin="m.csv:2",
        )
        assert [(i.id, i.names(), i.origin) for i in items[1:]] == [
            ("b", ("b/3",), "m.csv:5"),
            ("https://h/4.pdf", ("4.pdf",), "m.csv:6"),
        ]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "m.csv:1: no rows"),
            ("id,title\n", 'm.csv:1: no column "url"'),
            ("url,url\n", "m.csv:1: the column 'url' twice"),
            ("url,title\nhttps://h/\n", "m.csv:2: 1 fields; 2 fields"),
            ("url,size\nhttps://h/,x\n", "m.csv:2: \"size\" is 'x'"),
            ('url\n"https://h/\nhttps://h/', "m.csv:2: not CSV"),
            ("url\nftp://h/\n", "m.csv:2: the URL does not begin"),
        ],
    )
    def test_a_wrong_row_is_named(self, read: Any, text: str, found: str) -> None:
        assert found in read(Manifest, "m.csv", text, path="m.csv")[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*BOOK, "url", "path", "size", "md5"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_value_is_an_item_or_has_a_problem(value: object) -> None:
    problems: list[str] = []
    item = entry_to_item(value, "here", lambda found, expected: problems.append(found))
    assert (item is None) == bool(problems)


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "json", "csv"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes, form: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any").write_bytes(raw)
    with contextlib.suppress(SourceError):
        for item in Manifest({"path": "any", "format": form}, PluginContext(base=folder)).items(requests.Session()):
            assert item.resources
