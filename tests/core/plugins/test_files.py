"""Plugins that are one file: found by their path alone, in every process, and named by it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import ConfigError, PluginError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.plugins.files import file_of, module_name
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

OUTPUT = """
import argosy

class Odd(Exception):
    pass

class Shelf(argosy.Output):
    name = "shelf"
    summary = "A shelf"

    def produce(self, item, scratch):
        return []

@argosy.hookimpl
def argosy_output():
    return Shelf
"""


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    path = tmp_path / "shelf.py"
    path.write_text(OUTPUT, "utf-8")
    return path


def load(*files: Path | str) -> PluginManager:
    return PluginManager(["argosy"], [Path(file) for file in files])


def test_it_is_found_and_made(storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (info,) = load("shelf.py").plugins()
    assert (info.kind, info.name, info.origin.file) == (Kind.OUTPUT, "shelf", storage)
    assert str(info) == f"the output plugin 'shelf' of {storage}"
    assert load("shelf.py").make(Output, {"use": "shelf"}, PluginContext()).name == "shelf"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shelf.py"], "no bytecode beside it"


def test_nothing_is_found_by_itself(storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().plugins() == ()
    assert storage.exists()


def test_one_that_is_named_twice_is_there_once(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(storage.parent)
    assert len(load(storage, "shelf.py", "../" + storage.parent.name + "/shelf.py").plugins()) == 1


@pytest.mark.parametrize(
    "name",
    ["a b.py", "a.b.py", "per%2Ecent.py", "книга.py", "new\nline.py", "os.py", "argosy.py", "\udcff.py"],
)
def test_any_name_will_do_in_this_process_and_in_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.folder" / name
    path.parent.mkdir()
    try:
        path.write_text(OUTPUT, "utf-8")
    except (OSError, UnicodeError):
        pytest.skip("no file can have such a name here")
    plugins = load(path)
    assert file_of(module_name(path)) == path
    code = (
        "import pickle, sys; r, e = pickle.load(sys.stdin.buffer); "
        "print(r.plugins()[0].cls.name, ascii(str(r.plugins()[0].origin.file)), type(e).__name__)"
    )
    odd = sys.modules[module_name(path)].Odd("oh")
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((plugins, odd)), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == f"shelf {os.fspath(path)!a} Odd"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_its_class_survives_every_pickle(storage: Path, protocol: int) -> None:
    cls = load(storage).find(Kind.OUTPUT, "shelf").cls
    assert pickle.loads(pickle.dumps(cls, protocol)) is cls


@pytest.mark.parametrize("name", ["nothing.py", "folder.py", "notes.txt", ""])
def test_what_is_no_plugin_file_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match="There is no plugin file"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = (", "SyntaxError"),
        ("def f():\n    return 1 / 0\nf()\n", "ZeroDivisionError: division by zero (bad.py, line 2)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (bad.py, line 2)"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("", "it implements no hook"),
        ("def argosy_output(): ...\n", "it implements no hook with @argosy.hookimpl"),
        (OUTPUT.replace("return Shelf", "return Odd"), "Odd, not a subclass of argosy.Output"),
    ],
)  # fmt: skip
def test_a_broken_one_is_named_by_its_path(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source, "utf-8")
    with pytest.raises(PluginError) as caught:
        load(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint is not None
    assert f"leave out --plugin {path}" in caught.value.hint


def test_a_name_that_is_taken_is_refused(tmp_path: Path, storage: Path) -> None:
    storage.write_text(OUTPUT.replace('"shelf"', '"files"'), "utf-8")
    with pytest.raises(PluginError) as caught:
        PluginManager(files=[storage]).find(Kind.OUTPUT, "files")
    assert "from argosy " in caught.value.message
    assert f"from {storage}" in caught.value.message
    assert caught.value.hint is not None
    assert f"leave out --plugin {storage} or --no-plugin argosy:files" in caught.value.hint
    other = tmp_path / "other.py"
    for path in (storage, other):
        path.write_text(OUTPUT.replace("Shelf", "Other"), "utf-8")
    for name in [name for name in sys.modules if file_of(name) is not None]:
        del sys.modules[name]
    with pytest.raises(PluginError, match="Two output plugins are named 'shelf'"):
        load(storage, other)
