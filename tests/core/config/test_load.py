"""Reading a configuration file, and every way in which it may not be one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.config.load import load, load_file
from argosy.errors import ConfigError
from argosy.interfaces.base import Plugin
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"max_workers": 2, "retry_delay": 1.5}'),
        ("a.JSON", b'\xef\xbb\xbf{"max_workers": 2, "retry_delay": 1.5}'),
        ("a.toml", b"max_workers = 2\nretry_delay = 1.5"),
        ("a.toml", b"\xef\xbb\xbfmax_workers = 2\r\nretry_delay = 1.5\r\n"),
    ],
)
def test_both_formats_with_and_without_a_bom(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert load_file(tmp_path / name) == {"max_workers": 2, "retry_delay": 1.5}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"", r"must end in \.json or \.toml"),
        ("a.json", b'{"a": 1,\n "b" 2}', "line 2 column 6"),
        ("a.toml", b"a = 1\nb 2", r"line 2, column 3"),
        ("a.json", b'{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate key 'c'"),
        ("a.toml", b"a = 1\na = 2", "Cannot overwrite a value"),
        ("a.json", b"[1]", "must contain a JSON object"),
        ("a.json", b"", "not valid JSON"),
        ("a.json", b'{"a": "\xff"}', "can't decode byte 0xff in position 7"),
        ("a.json", b"[" * 100_000, "recursion depth exceeded"),
        ("a.json", b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        ("a.toml", b"a = " + b"9" * 10_000, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load_file(tmp_path / name)
    assert name in caught.value.message


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match=r"Cannot read .*: Is a directory"):
        load_file(tmp_path / "folder.toml")
    with pytest.raises(ConfigError, match="No such file"):
        load_file(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match=r"null (byte|character)"):
        load_file(tmp_path / "nul\0.toml")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that even root cannot read")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(ConfigError, match=r"Cannot read .*: Input/output error"):
        load_file(path)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"max_workers": 0}, "command line: max_workers: found 0"),
        ({"output": [{"use": "fils"}]}, 'output\\[0\\].use: found "fils".*did you mean "files"'),
        ({"output": [{"use": "needy"}]}, 'the key "a" is missing'),
    ],
)
def test_mistakes_on_the_command_line_alone(
    overrides: dict[str, Any], words: str, make_plugin: Callable[..., type[Plugin]]
) -> None:
    needy = make_plugin(Kind.OUTPUT, "needy", {"required": ["a"], "properties": {"a": {"type": "string"}}})
    with pytest.raises(ConfigError, match="The configuration is not valid") as caught:
        load(None, PluginManager(given=[needy]), overrides)
    (problem,) = caught.value.problems
    assert re.search(words, str(problem))
