"""The torture table: chapters whose markup makes far more of itself than its size says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy_devkit import ServerFactory

#: Megabytes that a run may take; it takes about half.
MOST_MEMORY = 500


@pytest.mark.slow
@pytest.mark.torture(89)
def test_a_chapter_that_makes_millions_of_elements_fails_its_item_alone(
    library_server: ServerFactory, tmp_path: Path
) -> None:
    """20 kB that once took half a gigabyte, 2 MB that took a whole one: they cost their items, with a clear cause."""
    root = tmp_path / "served"
    root.mkdir()
    markup = {
        "short": f"<div>{''.join(f'<b id=b{n}>' for n in range(900))}</div>{'<p>x</p>' * 1300}",
        "long": "<b><p>" * 333_000,
        "good": "<h1>A chapter</h1><p>with <b>words</b>",
    }
    server = library_server(lease_mode="open", root=root)
    lines = []
    for name, text in markup.items():
        (root / f"{name}.html").write_text(text, "utf-8")
        resource = {"url": server.url_for(f"/library/{name}.html"), "path": f"{name}.html"}
        lines.append(json.dumps({"id": name, "resources": [resource]}))
    (tmp_path / "books.jsonl").write_text("\n".join(lines), "utf-8")
    config = {"source": {"use": "manifest", "path": "books.jsonl"}, "directory": "library", "output": "epub"}
    (tmp_path / "argosy.json").write_text(json.dumps(config), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "argosy", "download", "argosy.json", "--quiet", "--report", "report.json"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 1, said
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    failures = {failure["id"]: failure for failure in report["failures"]}
    assert failures.keys() == {"short", "long"}
    assert {failure["kind"] for failure in failures.values()} == {"content"}
    assert all("its markup has more than 250,000 elements" in str(f) for f in failures.values())
    assert [path.name for path in (tmp_path / "library").glob("*.epub")] == ["good.epub"]
    unit = 1 if sys.platform == "darwin" else 1024
    assert usage.ru_maxrss * unit < MOST_MEMORY << 20
