"""Loading real distributions from a folder on sys.path. The built-in ones are left out by their distribution."""

from __future__ import annotations

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
    for name in ("one", "two", "good", "bad"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def load(*exclude: str) -> PluginManager:
    return PluginManager(["argosy", *exclude])


def test_a_third_partys_plugin_is_found_and_made(install: Install, tmp_path: Path) -> None:
    install("good", OUTPUT.format(name="listing"), {"list": "good"}, version="2.5")
    registry = load()
    (info,) = registry.plugins()
    assert (info.kind, info.name, info.summary) == (Kind.OUTPUT, "listing", "One line per item")
    assert (info.origin.distribution, info.origin.version, info.origin.entry_point) == ("good", "2.5", "list")
    output = registry.make(Output, {"use": "listing", "path": "list.txt"}, PluginContext(base=tmp_path))
    assert isinstance(output, Output)
    assert output.options == {"path": "list.txt"}
    assert registry.excluded == ("argosy",)


def test_two_of_one_name_are_an_error_that_names_both(install: Install) -> None:
    install("one", OUTPUT.format(name="listing"), {"a": "one"})
    install("two", OUTPUT.format(name="listing"), {"b": "two"}, version="3.1")
    with pytest.raises(PluginError) as caught:
        load()
    assert "one 1.0 (entry point 'a')" in caught.value.message
    assert "two 3.1 (entry point 'b')" in caught.value.message
    assert caught.value.exit_code == 7
    assert caught.value.hint is not None
    assert "--no-plugin one:a" in caught.value.hint
    for excluded, left in (("one:a", "two"), ("b", "one"), ("TWO", "one")):
        assert [info.origin.distribution for info in load(excluded).plugins()] == [left]
    assert load("listing").plugins() == ()


def test_two_entry_points_of_one_name_in_two_distributions_are_both_loaded(install: Install) -> None:
    install("one", OUTPUT.format(name="first"), {"same": "one"})
    install("two", OUTPUT.format(name="second"), {"same": "two"})
    assert load().names(Kind.OUTPUT) == ("first", "second")


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
    install("good", OUTPUT.format(name="listing"), {"list": "good"})
    install("bad", source, {"broken": target}, version="0.9")
    with pytest.raises(PluginError) as caught:
        load()
    assert "bad 0.9 (entry point 'broken')" in caught.value.message
    assert cause in caught.value.message
    assert caught.value.hint is not None
    assert "--no-plugin broken" in caught.value.hint
    assert load("broken").names(Kind.OUTPUT) == ("listing",)
    assert load("bad").names(Kind.OUTPUT) == ("listing",)


def test_an_excluded_plugin_is_not_even_imported(install: Install) -> None:
    install("bad", "raise RuntimeError", {"broken": "bad"})
    load("broken")
    assert "bad" not in sys.modules


def test_leaving_out_what_is_not_there_is_an_error(install: Install) -> None:
    install("good", OUTPUT.format(name="listing"), {"list": "good"})
    with pytest.raises(ConfigError) as caught:
        load("listin")
    assert caught.value.hint == 'did you mean "listing"?'


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def argosy_outptu(): ...", 'argosy_outptu, which does not exist (did you mean "argosy_output"?)'),
        ("def argosy_output(colour): ...", "cannot be registered"),
        ("def argosy_output(): raise KeyError('x')", "argosy_output in bad raised KeyError"),
        ("def argosy_output(): raise SystemExit", "raised SystemExit"),
        ("def argosy_output(): return 7", "returned an object of type int"),
        ("def argosy_output(): return dict", "builtins.dict, but that is no subclass of argosy.Output"),
        ("def argosy_output(): return argosy.Output", "is abstract: it lacks produce"),
    ],
)
def test_a_broken_hook_is_named(install: Install, source: str, words: str) -> None:
    install("bad", f"import argosy\n@argosy.hookimpl\n{source}", {"b": "bad"})
    with pytest.raises(PluginError) as caught:
        load()
    assert words in caught.value.message
    assert "bad 1.0 (entry point 'b')" in caught.value.message


def test_a_plugin_that_offers_nothing_is_an_error(install: Install) -> None:
    install("bad", "def argosy_output(): ...", {"b": "bad"})
    with pytest.raises(PluginError, match=r"argosy_output is not marked with @argosy\.hookimpl"):
        load()


def test_one_module_under_two_entry_points_is_an_error(install: Install) -> None:
    install("bad", OUTPUT.format(name="listing"), {"a": "bad", "b": "bad"})
    with pytest.raises(PluginError, match="cannot be registered"):
        load()
