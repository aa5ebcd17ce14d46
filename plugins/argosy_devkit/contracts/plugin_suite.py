"""What plugins of every kind promise: their name, their options, and that a worker process can make them."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from argosy.config.check import SLOTS, check
from argosy.config.load import load
from argosy.config.schema import check_options_schema, compose, default_options
from argosy.engine.report import Report
from argosy.engine.run import Run
from argosy.interfaces.base import Plugin, PluginContext
from argosy.plugins.kinds import Kind, Origin
from argosy.plugins.manager import PluginManager, describe
from argosy_devkit.contracts.promises import BrokenPromise, relying_on

#: Seconds after which a connection that was closed is closed at its other end, too.
SOON = 3.0

#: Seconds after which another process that says nothing is taken for stuck.
PATIENCE = 300.0

_PLUGIN = "argosy.Plugin (docs/plugins/contracts.md)"
_Plugin = TypeVar("_Plugin", bound=Plugin)


def kind_of(plugin: type[Plugin]) -> Kind:
    """Return the kind of a plugin's class."""
    return next(kind for kind in Kind if issubclass(plugin, kind.interface))


def registry_with(plugin: type[Plugin]) -> PluginManager:
    """Return a manager of the installed plugins and one that need not be installed."""
    origin = Origin("the plugin under test", "0", plugin.name)
    return PluginManager(given=[describe(kind_of(plugin), plugin, origin)])


def make_plugin(plugin: type[_Plugin], options: Mapping[str, Any], context: PluginContext) -> _Plugin:
    """Make a plugin; where that fails, it is not the fault of what is tested next."""
    with relying_on("It can be made with options that are valid.", _PLUGIN, f"{plugin.__name__}()"):
        return plugin(options, context)


def check_importable(plugin: type[Plugin]) -> None:
    """Fail and name the cause if another process cannot import a plugin's class."""
    if why_not := _why_not_elsewhere(plugin):
        raise BrokenPromise(
            f"another process cannot import {plugin.__module__}.{plugin.__qualname__}: {why_not} "
            "(define the class in a module that can be imported, not in the test file)",
            " ".join((PluginRules.test_a_worker_process_can_import_it.__doc__ or "").split()),
            _PLUGIN,
        )


@functools.cache
def _why_not_elsewhere(plugin: type[Plugin]) -> str:
    """Return why another process cannot import a class; empty if it can."""
    try:
        pickled = pickle.dumps(plugin)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    # only what the plugin imports: no pytest, and none of this package's suites
    import_it = "import pickle, sys; sys.path, plugin = pickle.load(sys.stdin.buffer); pickle.loads(plugin)"
    command = [sys.executable, "-c", import_it]
    told = pickle.dumps((sys.path, pickled))
    try:
        ended = subprocess.run(command, input=told, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"it did not finish within {PATIENCE:.0f} s"
    if ended.returncode == 0:
        return ""
    lines = ended.stderr.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"exit status {ended.returncode}")


class PluginSuite:
    """A plugin is made anew for each test, in an empty folder: relative paths in its options are relative to it."""

    #: The plugin's class; other processes must be able to import it.
    plugin: ClassVar[type[Plugin]]
    #: Where the promises of the suite are documented.
    documented: ClassVar[str] = _PLUGIN

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return options that the plugin works with, and make in the folder what it needs for that."""
        return {}

    @pytest.fixture
    def given(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return the options with the schema's defaults; override it where they depend on fixtures of yours."""
        return {**default_options(self.plugin.options_schema), **self.options(tmp_path)}

    @pytest.fixture
    def context(self, tmp_path: Path) -> PluginContext:
        """Return the context the plugin is made in: the target directory is ``library``."""
        library = tmp_path / "library"
        library.mkdir(exist_ok=True)
        return PluginContext(base=tmp_path, directory=library)

    def run(self, tmp_path: Path, given: Mapping[str, Any], **config: Any) -> Report:
        """Do a real run with the plugin, in the folder ``library``."""
        slot = next(slot for slot, kind in SLOTS.items() if kind is kind_of(self.plugin))
        use = {"use": self.plugin.name, **given}
        whole = {"directory": "library", "retry_delay": 0.01, slot: [use] if slot == "observers" else use}
        registry = registry_with(self.plugin)
        settings = load(whole | config, registry)
        return Run(_below(settings, tmp_path), registry).execute()


def _below(settings: Any, folder: Path) -> Any:
    from dataclasses import replace

    return replace(settings, base=folder, directory=folder / "library")


class PluginRules(PluginSuite):
    """The promises of `argosy.Plugin`."""

    documented = _PLUGIN

    def test_argosy_takes_it(self) -> None:
        """It has a name, a one-line summary, and all the methods of its kind, for a plugin API that there is."""
        describe(kind_of(self.plugin), self.plugin, Origin("the plugin under test", "0", "plugin"))

    def test_its_options_have_a_schema(self) -> None:
        """Its options_schema is valid by JSON Schema, draft 2020-12, and refers to nothing that is not there."""
        registry = registry_with(self.plugin)
        check_options_schema(registry.find(kind_of(self.plugin), self.plugin.name))
        compose(registry)

    def test_its_defaults_are_valid(self) -> None:
        """The defaults in its options_schema are valid by that schema."""
        import jsonschema

        for key, option in self.plugin.options_schema.get("properties", {}).items():
            if isinstance(option, Mapping) and "default" in option and "$ref" not in option:
                errors = list(jsonschema.Draft202012Validator(option).iter_errors(option["default"]))
                assert not errors, f"the default of the option {key!r} is not valid: {errors[0].message}"

    def test_the_options_are_valid(self, given: Mapping[str, Any]) -> None:
        """What it works with is valid by its options_schema, or nobody could configure it."""
        slot = next(slot for slot, kind in SLOTS.items() if kind is kind_of(self.plugin))
        use = {"use": self.plugin.name, **given}
        document = {slot: [use] if slot == "observers" else use}
        problems = check(document, registry_with(self.plugin), "the options of the test")
        assert not problems, "; ".join(map(str, problems))

    def test_a_worker_process_can_import_it(self) -> None:
        """Its class stands in a module under its own name, so that another process can make the plugin anew."""
        check_importable(self.plugin)

    def test_what_it_holds_it_gives_back(self, given: Mapping[str, Any], context: PluginContext) -> None:
        """Whoever makes it and closes it has no more open files and no more threads than before."""
        self.plugin(given, context).close()  # what it imports, and what that keeps, is not counted
        files, threads = settled_files(), set(threading.enumerate())
        self.plugin(given, context).close()
        assert no_more_files(files), "close() must close the files that the plugin has opened"
        assert set(threading.enumerate()) <= threads, (
            "close() must end the threads that the plugin has started"
        )


def settled_files() -> frozenset[tuple[int, ...]]:
    """Return the open files once what nobody uses any more is closed, as that would hide what comes."""
    gc.collect()
    return open_files()


def no_more_files(before: frozenset[tuple[int, ...]]) -> bool:
    """Return whether no other files are open than before, at once or soon: a server in this process may lag behind."""
    end = time.monotonic() + SOON
    while not open_files() <= before:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def open_files() -> frozenset[tuple[int, ...]]:
    """Return the files that this process has open: descriptor, device and inode of each; none where it cannot be seen."""
    folder = next((f for f in ("/proc/self/fd", "/dev/fd") if Path(f).is_dir()), None)
    found = set()
    for name in os.listdir(folder) if folder else ():  # noqa: PTH208 - a Path keeps the folder open meanwhile
        with contextlib.suppress(OSError):  # closed meanwhile, as is what the folder was read by
            about = os.fstat(int(name))
            found.add((int(name), about.st_dev, about.st_ino))
    return frozenset(found)
