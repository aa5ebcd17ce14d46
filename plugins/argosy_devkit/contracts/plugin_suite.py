"""What plugins of every kind promise: a name, valid options, and that a worker process can create them."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
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

import argosy
from argosy import Report
from argosy.errors import ArgosyError
from argosy.interfaces import (
    Auth,
    CookieStore,
    Observer,
    Output,
    Plugin,
    PluginContext,
    RateLimit,
    Source,
    Strategy,
    Transport,
)
from argosy_devkit.contracts.promises import BrokenPromise, relying_on

#: Seconds to wait until the other end of a closed connection is closed, too.
SOON = 3.0

#: Seconds after which another process that does not answer counts as stuck.
PATIENCE = 300.0

#: The key of the configuration that names plugins of each kind.
KEYS: Mapping[type[Plugin], str] = {
    Source: "source",
    Auth: "auth",
    CookieStore: "cookie_store",
    Strategy: "strategy",
    Output: "output",
    Observer: "observers",
    RateLimit: "ratelimit",
    Transport: "transport",
}

_PLUGIN = "argosy.Plugin (docs/plugins/contracts.md)"
_Plugin = TypeVar("_Plugin", bound=Plugin)


def make_plugin(plugin: type[_Plugin], options: Mapping[str, Any], context: PluginContext) -> _Plugin:
    """Create a plugin; a failure breaks this promise, not the one under test."""
    with relying_on("Valid options create it.", _PLUGIN, f"{plugin.__name__}()"):
        return plugin(options, context)


def with_defaults(plugin: type[Plugin], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the defaults of the plugin's schema, as a run fills them in."""
    properties = plugin.options_schema.get("properties", {})
    defaults = {name: part["default"] for name, part in properties.items() if "default" in part}
    return {**defaults, **options}


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
    """Return why another process cannot import a class, or an empty string."""
    try:
        pickled = pickle.dumps(plugin)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    # imports only what the plugin imports: neither pytest nor this package
    import_it = "import pickle, sys; sys.path, plugin = pickle.load(sys.stdin.buffer); pickle.loads(plugin)"
    command = [sys.executable, "-c", import_it]
    data = pickle.dumps((sys.path, pickled))
    try:
        ended = subprocess.run(command, input=data, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"it did not finish within {PATIENCE:.0f} s"
    if ended.returncode == 0:
        return ""
    lines = ended.stderr.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"exit status {ended.returncode}")


class PluginSuite:
    """Each test creates the plugin in an empty folder; relative paths in its options are relative to that folder."""

    #: The plugin's class; other processes must be able to import it.
    plugin: ClassVar[type[Plugin]]
    #: Where the promises of the suite are documented.
    documented: ClassVar[str] = _PLUGIN

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return options that work, and create the files they need in the folder."""
        return {}

    @pytest.fixture
    def given(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return the options and the schema's defaults; override it if they depend on fixtures of yours."""
        return with_defaults(self.plugin, self.options(tmp_path))

    @pytest.fixture
    def context(self, tmp_path: Path) -> PluginContext:
        """Return the context in which the plugin is created: the target directory is ``library``."""
        library = tmp_path / "library"
        library.mkdir(exist_ok=True)
        return PluginContext(base=tmp_path, directory=library)

    def run(self, tmp_path: Path, given: Mapping[str, Any], **config: Any) -> Report:
        """Run a real download with the plugin into the folder ``library``."""
        file = self.configuration(tmp_path, given, retry_delay=0.01, **config)
        try:
            return argosy.download(file, plugins=[self.plugin])
        except ArgosyError as error:
            report: Report | None = getattr(error, "report", None)
            if report is None:
                raise
            return report

    def configuration(self, tmp_path: Path, given: Mapping[str, Any], **config: Any) -> Path:
        """Write a configuration that uses the plugin; return its path."""
        file = tmp_path / "argosy.json"
        file.write_text(json.dumps({"directory": "library", **self.use(given), **config}, default=str), "utf-8")
        return file

    def use(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a configuration that names the plugin."""
        key = next(key for interface, key in KEYS.items() if issubclass(self.plugin, interface))
        use = {"use": self.plugin.name, **given}
        return {key: [use] if key == "observers" else use}


class PluginRules(PluginSuite):
    """The promises of `argosy.Plugin`."""

    documented = _PLUGIN

    def test_argosy_takes_it(self) -> None:
        """It has a name, a one-line summary, and all methods of its kind."""
        argosy.check_config({}, plugins=[self.plugin])

    def test_its_options_have_a_schema(self) -> None:
        """Its options_schema is valid JSON Schema (draft 2020-12), and all its references lead somewhere."""
        argosy.check_config(self.use({}), plugins=[self.plugin])

    def test_its_defaults_are_valid(self) -> None:
        """The defaults in its options_schema match that schema."""
        import jsonschema

        for key, option in self.plugin.options_schema.get("properties", {}).items():
            if isinstance(option, Mapping) and "default" in option and "$ref" not in option:
                errors = list(jsonschema.Draft202012Validator(option).iter_errors(option["default"]))
                assert not errors, f"the default of the option {key!r} is not valid: {errors[0].message}"

    def test_the_options_are_valid(self, given: Mapping[str, Any]) -> None:
        """The options it works with match its options_schema, so a configuration can contain them."""
        problems = argosy.check_config(json.loads(json.dumps(self.use(given), default=str)), plugins=[self.plugin])
        assert not problems, "; ".join(map(str, problems))

    def test_a_worker_process_can_import_it(self) -> None:
        """Its class is in an importable module, under its own name, so another process can create the plugin."""
        check_importable(self.plugin)

    def test_it_closes_what_it_opens(self, given: Mapping[str, Any], context: PluginContext) -> None:
        """After close(), no file is open and no thread is running that was not before."""
        self.plugin(given, context).close()  # files that imports keep open do not count
        files, threads = settled_files(), set(threading.enumerate())
        self.plugin(given, context).close()
        assert no_more_files(files), "close() must close the files that the plugin opened"
        assert set(threading.enumerate()) <= threads, "close() must end the threads that the plugin started"


def settled_files() -> frozenset[tuple[int, ...]]:
    """Return the open files after a garbage collection, which may close some."""
    gc.collect()
    return open_files()


def no_more_files(before: frozenset[tuple[int, ...]]) -> bool:
    """Return whether all open files were open before; wait a little, as a server in this process may close late."""
    end = time.monotonic() + SOON
    while not open_files() <= before:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def open_files() -> frozenset[tuple[int, ...]]:
    """Return descriptor, device and inode of each open file of this process; empty if the system cannot list them."""
    folder = next((f for f in ("/proc/self/fd", "/dev/fd") if Path(f).is_dir()), None)
    found = set()
    for name in os.listdir(folder) if folder else ():  # noqa: PTH208 - a Path keeps the folder open meanwhile
        with contextlib.suppress(OSError):  # closed in the meantime, like the listing's own descriptor
            status = os.fstat(int(name))
            found.add((int(name), status.st_dev, status.st_ino))
    return frozenset(found)
