"""Rubbish in the files that people write: manifests and configurations. It is read, or refused in words."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.config.load import load, load_file
from argosy.errors import ConfigError, SourceError
from argosy.interfaces.base import PluginContext
from argosy.models.items import Item
from argosy.plugins.manager import PluginManager
from argosy.toolkit.names import problem_of
from argosy.toolkit.urls import check_url
from argosy_plugins.sources.manifest import Manifest
from argosy_plugins.sources.urls import Urls
from rubbish import fuzzed, json_values, made_of

pytestmark = pytest.mark.slow

ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from(["http://h/a", "https://h/../b?c#d", "file:///x", "http://u:p@h/", 7]) | json_values,
        "id": st.text(max_size=20) | json_values,
        "title": json_values,
        "tags": st.lists(st.text(max_size=5)) | json_values,
        "metadata": json_values,
        "path": st.text(max_size=20) | json_values,
        "size": st.integers() | json_values,
        "sha256": st.text("0123456789abcdefgABC", max_size=64) | st.just("a" * 64) | json_values,
        "resources": st.lists(
            st.fixed_dictionaries({}, optional={"url": st.just("http://h/a") | json_values, "path": st.text(max_size=9)}),
            max_size=3,
        ) | json_values,
        "unknown": json_values,
    },
)  # fmt: skip
DUMPED = st.lists(ENTRY | json_values, max_size=5)
PIECES = made_of(
    "{", "}", "[", "]", ",", ":", '"url"', '"http://h/a"', '"', "\\", "\\ud800", "\\u0000", "null", "NaN", "1e999",
    "9" * 30, "\n", "\r\n", "\ufeff", "url,path\n", "url,id,size\n", "http://h/a,b\n", ";", "\x00", "\u2028",
    most=20,
)  # fmt: skip


def items_of(tmp: Path, name: str, data: bytes, form: str) -> list[Item] | None:
    """Return the items of a manifest, or None where it is refused, in words that can be shown."""
    path = tmp / name
    path.write_bytes(data)
    source = Manifest({"path": str(path), "format": form}, PluginContext())
    try:
        return list(source.items(requests.Session()))
    except SourceError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.where.startswith(str(path))
        return None


def check(items: list[Item] | None) -> None:
    """Check that what was read can be worked with."""
    for item in items or ():
        assert item.id
        assert Item.from_json(item.to_json()) == item or item.origin
        for resource in item.resources:
            assert check_url(resource.url) is None
            assert resource.size is None or resource.size >= 0
        for name in item.names():
            assert problem_of(name) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzzed
@given(DUMPED, st.sampled_from(["jsonl", "json"]))
def test_manifests_of_odd_values(folder: Path, entries: list[Any], form: str) -> None:
    lines = [json.dumps(entry) for entry in entries]
    text = "\n".join(lines) if form == "jsonl" else f"[{','.join(lines)}]"
    check(items_of(folder, "m", text.encode(), form))


@fuzzed
@given(PIECES | st.binary(max_size=300), st.sampled_from(["jsonl", "json", "csv"]))
@example("[" * 100_000, "json")
@example('{"a":' * 100_000, "jsonl")
@example('{"url": "http://h/", "size": ' + "9" * 5000 + "}", "jsonl")
@example("url\n" + '"' * 99_999, "csv")
@example(b"url\n\x00\n", "csv")
@example("url," * 50_000 + "id\n", "csv")
def test_manifests_of_rubbish(folder: Path, text: str | bytes, form: str) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    check(items_of(folder, "m", data, form))


@fuzzed
@given(
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=8), st.text(max_size=8)), max_size=5),
    st.sampled_from([",", ";", "\t"]),
)
def test_manifests_in_csv(folder: Path, rows: list[tuple[str, str, str]], comma: str) -> None:
    import csv

    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=comma)
    writer.writerows([("url", "id", "x"), *(("http://h/" + a.replace(" ", ""), b, c) for a, b, c in rows)])
    check(items_of(folder, "m", stream.getvalue().encode("utf-8", "surrogatepass"), "csv"))


@fuzzed
@given(PIECES | st.binary(max_size=200))
def test_lists_of_urls(folder: Path, text: str | bytes) -> None:
    path = folder / "urls"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        check(list(Urls({"file": str(path)}, PluginContext()).items(requests.Session())))
    except SourceError as error:
        assert error.problems


CONFIG = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from(["urls", "manifest", "threads", "json-file", "form-login", "files", "cookies", "exclusive"])
        | st.fixed_dictionaries({"use": st.sampled_from(["urls", "form-login", "files", "cookies"]) | json_values})
        | st.lists(st.just("files") | json_values, max_size=3)
        | json_values
        for key in ("source", "auth", "cookie_store", "strategy", "output", "observers", "directory", "max_workers",
                    "sessions", "lease", "on_doubt", "timeout", "tags", "max_retries", "$schema", "unknown", "")
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    return PluginManager()


@fuzzed
@given(CONFIG | st.dictionaries(st.text(max_size=9), json_values, max_size=4))
def test_configurations_of_odd_values(plugins: PluginManager, value: dict[str, Any]) -> None:
    try:
        settings = load(value, plugins)
    except ConfigError as error:
        assert error.problems
        str(error)
    else:
        assert settings.max_workers >= 1


@fuzzed
@given(
    made_of("{", "}", "[", "]", "=", "a", '"', "'", '"""', "\n", ".", "#", ",", ":", "1979-05-27", "inf", "nan", "1e999",
            "0x", "9" * 30, "\\u", "\x00", "\ufeff", "[[", "]]", "use", most=25) | st.binary(max_size=200),
    st.sampled_from([".toml", ".json"]),
)  # fmt: skip
@example("a = " + "[" * 100_000, ".toml")
@example("[" * 100_000, ".json")
@example("9" * 5000, ".json")
@example("a = " + "9" * 5000, ".toml")
@example("a = 2020-13-99", ".toml")
def test_configurations_of_rubbish(folder: Path, plugins: PluginManager, text: str | bytes, suffix: str) -> None:
    path = folder / f"argosy{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load_file(path)
        load(path, plugins)
    except ConfigError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_manifest_that_is_one_endless_line_fills_no_memory(folder: Path, form: str) -> None:
    size = 40 * 2**20
    data = {"jsonl": b'{"url": "', "json": b'[{"url": "', "csv": b'url\n"'}[form] + b"a" * size
    (folder / "endless").write_bytes(data)
    del data
    source = Manifest({"path": str(folder / "endless"), "format": form}, PluginContext())
    begun = time.process_time()
    tracemalloc.start()
    with pytest.raises(SourceError):
        list(source.items(requests.Session()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 10 * 2**20, f"{peak} bytes, for lines of at most 10 MiB"
    assert time.process_time() - begun < 60
