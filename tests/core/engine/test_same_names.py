"""What a person is told whose items want the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from argosy.config.load import load
from argosy.engine.plan import preview
from argosy.errors import SourceError
from argosy.plugins.manager import PluginManager


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"source": {"use": "urls", "urls": ["http://a.example/x/a", "http://a.example/y/a"]}}, "--paths full"),
        ({"output": [{"use": "files", "layout": "{tag}"}]}, '"layout"'),
        ({}, '"path"'),
    ],
)
def test_the_cure_is_of_what_made_the_name(tmp_path: Path, changes: dict[str, Any], cure: str) -> None:
    paths = ("a", "b") if "output" in changes else ("a", "A")
    lines = (f'{{"id": "{path}", "url": "http://a.example/{path}", "path": "{path}", "tags": ["t"]}}' for path in paths)
    (tmp_path / "m.jsonl").write_text("\n".join(lines), "utf-8")
    source = {"use": "manifest", "path": str(tmp_path / "m.jsonl")}
    plugins = PluginManager()
    settings = load(None, plugins, {"directory": str(tmp_path / "library"), "source": source, **changes})
    with pytest.raises(SourceError) as raised:
        preview(settings, plugins, lambda *_: None)
    (problem,) = raised.value.problems
    assert [word for word in ("--paths full", '"layout"', '"path"') if word in problem.expected] == [cure]
