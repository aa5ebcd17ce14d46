"""The checks of a plugin's class, and what may go wrong when one is made."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.errors import ConfigError, LoginFailed, PluginError
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.output import Output
from argosy.interfaces.strategy import Strategy
from argosy.models.items import Product, StagedItem
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager


class Good(Output):
    name = "good"
    summary = "A good one"

    def produce(self, item: StagedItem, scratch: Path) -> Iterable[Product]:
        return ()


def manager(*classes: type[Plugin]) -> PluginManager:
    return PluginManager(["argosy"], given=classes)


def made(**attributes: Any) -> type[Good]:
    return type("Made", (Good,), {"__module__": __name__, **attributes})


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"name": "Good"}, "invalid plugin name 'Good'"),
        ({"name": "good\n"}, "invalid plugin name"),
        ({"name": "-good"}, "invalid plugin name"),
        ({"name": None}, "invalid plugin name None"),
        ({"summary": " "}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"options_schema": True}, "must be a mapping with"),
        ({"options_schema": {}}, '"type": "object"'),
        ({"options_schema": {"type": "object", "properties": {"use": {}}}}, '"use"'),
        ({"options_schema": {"type": "object", "$id": "x"}}, "$id"),
        ({"options_schema": {"type": "object", "properties": []}}, '"properties"'),
    ],
)
def test_a_class_that_breaks_the_rules_is_refused(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(PluginError) as caught:
        manager(made(**attributes))
    assert words in caught.value.message
    assert f"{__name__} (not installed)" in caught.value.message


def test_every_kind_has_a_hook_with_its_contract() -> None:
    assert {kind.interface.__name__ for kind in Kind} == {
        "Source",
        "Auth",
        "CookieStore",
        "Strategy",
        "Output",
        "Observer",
        "Storage",
        "RateLimit",
        "Transport",
    }
    assert Kind.STRATEGY.interface is Strategy


def test_plugins_are_sorted_by_kind_and_name() -> None:
    names = [info.name for info in manager(made(name="b"), made(name="a"), made(name="c")).plugins()]
    assert names == ["a", "b", "c"]


def test_find_suggests() -> None:
    with pytest.raises(ConfigError) as caught:
        manager(Good).find(Kind.OUTPUT, "godo")
    assert caught.value.hint == 'did you mean "good"?'
    assert "Installed: good" in caught.value.message
    with pytest.raises(ConfigError, match="Installed: none"):
        manager(Good).find(Kind.AUTH, "good")


class Files(Good):
    name = "files"


class Raising(Good):
    name = "raising"
    error: ClassVar[BaseException]

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(4)])
def test_what_a_constructor_raises_becomes_a_plugin_error(error: BaseException) -> None:
    plugins = manager(type("R", (Raising,), {"error": error, "__module__": __name__}))
    with pytest.raises(PluginError) as caught:
        plugins.make(Output, {"use": "raising"}, PluginContext())
    assert f"The output plugin 'raising' of {__name__} (not installed) could not be created" in caught.value.message
    assert type(error).__name__ in caught.value.message
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [LoginFailed("no"), KeyboardInterrupt()])
def test_an_argosy_error_or_an_interrupt_passes_through(error: BaseException) -> None:
    plugins = manager(type("R", (Raising,), {"error": error, "__module__": __name__}))
    with pytest.raises(type(error)):
        plugins.make(Output, {"use": "raising"}, PluginContext())


def test_a_given_class_replaces_an_installed_plugin_and_is_pickled() -> None:
    plugins = pickle.loads(pickle.dumps(PluginManager(given=[Files])))
    assert plugins.find(Kind.OUTPUT, "files").cls is Files
    assert [info.cls for info in plugins.plugins() if info.name == "files"] == [Files]
    with pytest.raises(ConfigError, match="dict is not a plugin"):
        PluginManager(given=[dict])  # type: ignore[list-item]
