"""Plugins that are one file, in real runs: in threads, in processes, with a store and a strategy, and where they fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import argosy
from argosy.cli.program import cli
from argosy.errors import ConfigError
from voyage import Voyage

SetSail = Callable[..., Voyage]

FILE = """
import argosy
from argosy.errors import TransferError
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.strategies.multiprocess import MultiprocessStrategy

class Beyond(TransferError):
    pass

class Shelf(argosy.Output):
    name = "shelf"
    summary = "Files on a shelf"
    options_schema = {"type": "object", "properties": {"folder": {"type": "string", "default": "shelf"}}}

    def produce(self, item, scratch):
        if item.item.id == "item-00002":
            raise KeyError("year")
        if item.item.id == "item-00003":
            raise Beyond("Not this one.", kind="empty")
        yield argosy.Product(f"{self.options['folder']}/{item.item.id}", item.files[0].path)

class Cupboard(JsonFileStore):
    name = "cupboard"

class Crew(MultiprocessStrategy):
    name = "crew"

@argosy.hookimpl
def argosy_output():
    return Shelf

@argosy.hookimpl
def argosy_cookie_store():
    return Cupboard

@argosy.hookimpl
def argosy_strategy():
    return Crew
"""


@pytest.mark.parametrize("strategy", ["threads", "multiprocess", "crew"])
def test_it_works_wherever_the_work_is_done(set_sail: SetSail, strategy: str) -> None:
    voyage = set_sail(items=5, lease_mode="revoke", max_workers=2, output="shelf", strategy=strategy)
    voyage.config["cookie_store"]["use"] = "cupboard"
    path = voyage.root / "my shelf.py"
    path.write_text(FILE, "utf-8")
    report = voyage.root / "report.json"
    done = voyage.run("--plugin", str(path), "--report", str(report))
    assert done.returncode == 1, done.stderr
    assert f"KeyError: 'year' ({path}, line 17). Only this item fails." in done.stderr
    assert "Not this one." in done.stderr
    assert voyage.done() == {"item-00001", "item-00004", "item-00005"}
    assert sorted(p.name for p in (voyage.library / "shelf").iterdir()) == sorted(voyage.done())
    said = json.loads(report.read_text("utf-8"))
    assert said["strategy"]["used"] == strategy
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


def test_a_configuration_runs_no_code(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="open", plugins=["shelf.py"])
    (voyage.root / "shelf.py").write_text("raise SystemExit('it ran')", "utf-8")
    done = voyage.run()
    assert done.returncode == 2
    assert "it ran" not in done.stderr
    assert "plugins" in done.stderr


def test_it_can_be_used_from_python(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="strict", output="shelf")
    path = voyage.root / "shelf.py"
    path.write_text(FILE, "utf-8")
    voyage.config["cookie_store"]["use"] = "cupboard"
    assert argosy.login(voyage.file, plugins=[path]) == ["default"]
    assert argosy.download(voyage.file, plugins=[str(path)]).counts.done == 1
    assert [session.name for session in argosy.sessions(voyage.file, plugins=[path])] == ["default"]
    assert list(argosy.logout(voyage.file, plugins=[path])) == ["default"]
    with pytest.raises(ConfigError, match="is not valid"):
        argosy.download(voyage.file)


def test_every_command_that_uses_plugins_takes_files(tmp_path: Path) -> None:
    def commands(command: click.Command, path: str) -> list[tuple[str, set[str]]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            below = [command.get_command(context, name) for name in command.list_commands(context)]
            return [found for c in below if c is not None for found in commands(c, f"{path} {c.name}")]
        return [(path, {option for parameter in command.params for option in parameter.opts})]

    with_plugins = {path: options for path, options in commands(cli, "argosy") if "--no-plugin" in options}
    assert len(with_plugins) > 6
    assert [path for path, options in with_plugins.items() if "--plugin" not in options] == []


def test_the_list_names_the_file(set_sail: SetSail) -> None:
    voyage = set_sail(items=1)
    path = voyage.root / "shelf.py"
    path.write_text(FILE, "utf-8")
    listed = voyage.argosy("plugins", "--plugin", str(path))
    assert f"Files on a shelf  [{path}]" in listed.stdout
    plugins = json.loads(voyage.argosy("plugins", "--json", "--plugin", str(path)).stdout)
    (storage,) = [plugin for plugin in plugins if plugin["name"] == "shelf"]
    assert (storage["file"], storage["distribution"], storage["version"]) == (str(path), None, None)
