"""Loading real distributions from a folder on sys.path. The built-in ones are left out by their distribution."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.errors import ConfigError, PluginError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

Install = Callable[..., Path]

OUTPUT = """
    import argosy

    class Listing(argosy.Output):
        name = "{name}"
        summary = "One line per item"
        options_schema = {{"type": "object", "properties": {{"path": {{"type": "string"}}}}}}

        def produce(self, item, scratch):
            return []

    @argosy.hookimpl
    def argosy_output():
        return Listing
"""


@pytest.fixture(autouse=True)
def on_path(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    for name in ("one", "two", "good", "bad", "both"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def load(*exclude: str) -> PluginManager:
    return PluginManager(["argosy", *exclude])


def test_a_third_partys_plugin_is_found_and_made(install: Install, tmp_path: Path) -> None:
    install("good", OUTPUT.format(name="listing"), {"listing": "good"}, version="2.5")
    plugins = load()
    (info,) = plugins.plugins()
    assert (info.kind, info.name, info.summary) == (Kind.OUTPUT, "listing", "One line per item")
    assert (info.origin.distribution, info.origin.version, info.origin.entry_point) == (
        "good",
        "2.5",
        "listing",
    )
    output = plugins.make(Output, {"use": "listing", "path": "list.txt"}, PluginContext(base=tmp_path))
    assert isinstance(output, Output)
    assert output.options == {"path": "list.txt"}
    assert plugins.excluded == ("argosy",)


@pytest.mark.parametrize("left", [None, "", "Metadata-Version: 2.1\nName: good\n"])
def test_a_package_whose_metadata_cannot_be_read_is_named(install: Install, site: Path, left: str | None) -> None:
    install("good", OUTPUT.format(name="listing"), {"listing": "good"})
    metadata = site / "good-1.0.dist-info" / "METADATA"
    metadata.unlink()
    if left is not None:
        metadata.write_text(left, "utf-8")
    with pytest.raises(PluginError) as caught:
        load()
    assert "listing = good" in caught.value.message
    assert str(site) in str(caught.value.hint)


def test_also_if_a_library_has_replaced_the_finder_of_packages(install: Install, site: Path) -> None:
    """Importing `importlib_metadata`, as Dask does, changes how Python reads metadata."""
    pytest.importorskip("importlib_metadata")
    install("good", OUTPUT.format(name="listing"), {"listing": "good"})
    (site / "good-1.0.dist-info" / "METADATA").unlink()
    code = f"import sys, importlib_metadata; sys.path.insert(0, {str(site)!r}); import argosy.cli; argosy.cli.main(['plugins'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "argosy: error: The package with the plugin listing = good has no readable metadata." in run.stderr


def test_only_the_plugin_that_is_asked_for_is_imported(install: Install) -> None:
    install("one", OUTPUT.format(name="first"), {"first": "one"})
    install("two", OUTPUT.format(name="second"), {"second": "two"})
    install("bad", "raise RuntimeError", {"broken": "bad"})
    plugins = load()
    assert {"one", "two", "bad"}.isdisjoint(sys.modules)
    assert plugins.find(Kind.OUTPUT, "second").name == "second"
    assert {"one", "bad"}.isdisjoint(sys.modules)
    assert pickle.loads(pickle.dumps(plugins)).find(Kind.OUTPUT, "first").name == "first"


def test_a_run_imports_only_the_plugins_of_its_configuration() -> None:
    code = (
        "import sys; from argosy.config.load import load; from argosy.plugins.manager import PluginManager; "
        "load({'source': {'use': 'urls', 'urls': []}}, PluginManager()); "
        "print(*sorted(name for name in sys.modules if name.startswith('argosy_plugins.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outputs = {name for name in done.stdout.split() if name.startswith("argosy_plugins.outputs.")}
    assert outputs - {"argosy_plugins.outputs._facts"} == {"argosy_plugins.outputs.files"}
    assert "argosy_plugins.sources.manifest" not in done.stdout


def test_two_of_one_name_are_an_error_that_names_both(install: Install) -> None:
    install("one", OUTPUT.format(name="listing"), {"listing": "one"})
    install("two", OUTPUT.format(name="listing"), {"listing": "two"}, version="3.1")
    plugins = load()  # an error only if the name is used
    with pytest.raises(PluginError) as caught:
        plugins.find(Kind.OUTPUT, "listing")
    assert "one 1.0 (entry point 'listing')" in caught.value.message
    assert "two 3.1 (entry point 'listing')" in caught.value.message
    assert caught.value.exit_code == 7
    assert caught.value.hint is not None
    assert "--no-plugin one:listing" in caught.value.hint
    for excluded, left in (("one:listing", "two"), ("two", "one"), ("TWO", "one")):
        assert [info.origin.distribution for info in load(excluded).plugins()] == [left]
    assert load("listing").plugins() == ()


def test_an_entry_point_has_its_plugins_name(install: Install) -> None:
    install("one", OUTPUT.format(name="listing"), {"list": "one"})
    for name in ("list", "listing"):
        with pytest.raises(PluginError, match="it offers 'listing', but its entry point is named 'list'"):
            load().find(Kind.OUTPUT, name)


@pytest.mark.parametrize(
    ("source", "target", "cause"),
    [
        ("import a_library_that_is_not_there", "bad", "ModuleNotFoundError: No module named 'a_library"),
        ("raise SystemExit(3)", "bad", "SystemExit: 3"),
        ("def broken(:", "bad", "SyntaxError"),
        ("", "bad:missing", "AttributeError"),
    ],
)
def test_a_broken_import_names_its_distribution_and_the_way_round_it(
    install: Install, source: str, target: str, cause: str
) -> None:
    install("good", OUTPUT.format(name="listing"), {"listing": "good"})
    install("bad", source, {"broken": target}, version="0.9")
    with pytest.raises(PluginError) as caught:
        load().plugins()
    assert "bad 0.9 (entry point 'broken')" in caught.value.message
    assert cause in caught.value.message
    assert caught.value.hint is not None
    assert "--no-plugin bad:broken" in caught.value.hint
    assert load("broken").names(Kind.OUTPUT) == ("listing",)
    assert load("bad").names(Kind.OUTPUT) == ("listing",)


def test_an_excluded_plugin_is_not_even_imported(install: Install) -> None:
    install("bad", "raise RuntimeError", {"broken": "bad"})
    load("broken").plugins()
    assert "bad" not in sys.modules


def test_leaving_out_what_is_not_there_is_an_error(install: Install) -> None:
    install("good", OUTPUT.format(name="listing"), {"listing": "good"})
    with pytest.raises(ConfigError) as caught:
        load("listin")
    assert caught.value.hint == 'did you mean "listing"?'


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def argosy_outptu(): ...", "the hook argosy_outptu does not exist"),
        ("def argosy_output(colour): ...", "cannot be registered"),
        ("def argosy_output(): raise KeyError('x')", "its hook argosy_output raised KeyError"),
        ("def argosy_output(): raise SystemExit", "raised SystemExit"),
        (
            "def argosy_output(): return 7",
            "it returned 7, not a subclass of argosy.Output",
        ),
        ("def argosy_output(): return dict", "it returned dict, not a subclass of argosy.Output"),
        ("def argosy_output(): return argosy.Output", "Output lacks produce"),
    ],
)
def test_a_broken_hook_is_named(install: Install, source: str, words: str) -> None:
    install("bad", f"import argosy\n@argosy.hookimpl\n{source}", {"b": "bad"})
    with pytest.raises(PluginError) as caught:
        load().plugins()
    assert words in caught.value.message
    assert "bad 1.0 (entry point 'b')" in caught.value.message


def test_a_plugin_that_offers_nothing_is_an_error(install: Install) -> None:
    install("bad", "def argosy_output(): ...", {"b": "bad"})
    with pytest.raises(PluginError, match=r"it implements no hook with @argosy\.hookimpl"):
        load().plugins()


def test_one_module_offers_several_plugins(install: Install) -> None:
    source = """
    @argosy.hookimpl
    def argosy_observer():
        class Bell(argosy.Observer):
            name = "bell"
            summary = "Rings"
            def on_event(self, event): ...
        return Bell
    """
    install("both", OUTPUT.format(name="listing") + source, {"listing": "both", "bell": "both"})
    plugins = load()
    assert plugins.find(Kind.OBSERVER, "bell").origin.entry_point == "bell"
    assert plugins.find(Kind.OUTPUT, "listing").origin.entry_point == "listing"
    assert [info.name for info in plugins.plugins()] == ["bell", "listing"]
    assert [info.name for info in load("both:bell").plugins()] == ["listing"]


def test_an_entry_point_without_a_plugin_of_its_name_is_broken(install: Install) -> None:
    install("bad", OUTPUT.format(name="listing"), {"listing": "bad", "other": "bad"})
    assert load().find(Kind.OUTPUT, "listing").name == "listing"
    with pytest.raises(PluginError, match=r"entry point 'other'\) is broken: it offers 'listing'"):
        load().plugins()
