"""Creating a plugin package: invalid and taken names, and existing folders."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import ConfigError, StorageError
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit.scaffold.package import KINDS, class_of, contents, new_plugin


@pytest.mark.parametrize(
    "name",
    ["", "CSV", "csv_catalogue", "2d", "-csv", "csv-", "csv--x", "csv catalogue", "../csv", "csv\n", "é", "a" * 41],
)  # fmt: skip
def test_a_name_of_the_wrong_form_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        new_plugin("output", name, tmp_path)
    assert caught.value.hint is not None
    assert "csv-catalogue" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="argosy already has a plugin 'files'"):
        new_plugin("output", "files", tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "argosy_tables.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ConfigError, match=r"A package argosy-tables .*is already installed"):
        new_plugin("output", "tables", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_exists_is_left_alone(tmp_path: Path, there: str) -> None:
    folder = tmp_path / "argosy-tables"
    if there == "folder":
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
    elif there == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="argosy-tables already exists"):
        new_plugin("output", "tables", tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["argosy-tables", *(["argosy-tables/mine.txt"] if there == "folder" else [])]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be created"):
        new_plugin("output", "tables", tmp_path / "file" / "below")


@pytest.mark.parametrize("name", ["path", "argosy", "iterator", "output", "class", "a1", "example", "any"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_name_gives_a_module_that_works(tmp_path: Path, kind: str, name: str) -> None:
    files = dict(contents(kind, name))
    source = files[f"argosy_{name}.py"]
    tree = ast.parse(source)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"}
    assert classes == {class_of(kind, name)}
    assert f'    name = "{name}"\n' in source
    path = tmp_path / f"argosy_{name}.py"
    path.write_text(source, "utf-8")
    assert PluginManager(files=[path]).find(Kind(kind.replace("-", "_")), name).origin.file == path
    assert "Example" not in source or name == "example"


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "argosy", "plugin", "new"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    done = run("cookie-store", "tables", "--directory", "new folder")
    assert done.returncode == 0, done.stderr
    assert "cd 'new folder/argosy-tables'" in done.stdout
    assert (tmp_path / "new folder" / "argosy-tables" / "argosy_tables.py").is_file()
    again = run("cookie-store", "tables", "--directory", "new folder")
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert run("sauce", "tables").returncode == 2
    assert run("output", "Shelf").returncode == 2
    assert run("output").returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new folder"]
