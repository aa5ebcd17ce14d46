"""The version of the plugin API: who is used, who is warned, and who is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import PluginError
from argosy.interfaces.output import Output
from argosy.plugins.checks import PluginDeprecationWarning, check_api
from argosy.plugins.kinds import Origin
from argosy.plugins.manager import PluginManager

Install = Callable[..., Path]
ORIGIN = Origin("argosy-shelf", "3.1", "shelf")
OUTPUT = """
    import argosy

    class Shelf(argosy.Output):
        name = "shelf"
        summary = "A shelf"
        argosy_api = {api}

        def produce(self, item, scratch):
            return []

    @argosy.hookimpl
    def argosy_output():
        return Shelf
"""


def written_for(api: Any) -> type[Output]:
    return type("Shelf", (Output,), {} if api is None else {"argosy_api": api})


@pytest.mark.parametrize("api", [None, 1])
def test_one_that_says_nothing_is_of_the_first(api: int | None) -> None:
    check_api(ORIGIN, written_for(api))
    with pytest.warns(
        PluginDeprecationWarning, match=r"of argosy-shelf 3\.1 .*written for plugin API 1; .*has 2"
    ):
        check_api(ORIGIN, written_for(api), oldest=1, current=2)


@pytest.mark.parametrize(
    ("api", "oldest", "current", "words", "hint"),
    [
        (2, 1, 1, "written for plugin API 2, and this argosy has 1", "Install a newer argosy"),
        (9, 2, 3, "written for plugin API 9, and this argosy has 2 to 3", "Install a newer argosy"),
        (None, 2, 3, "written for plugin API 1, and this argosy has 2 to 3", "newer version of argosy-shelf 3.1"),
        ("1", 1, 1, "its argosy_api is '1', where a whole number is wanted", "Tell its author"),
        (True, 1, 1, "its argosy_api is True", "Tell its author"),
        (0, 1, 1, "its argosy_api is 0", "Tell its author"),
    ],
)  # fmt: skip
def test_one_that_does_not_fit_is_refused(api: Any, oldest: int, current: int, words: str, hint: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_api(ORIGIN, written_for(api), oldest=oldest, current=current)
    assert words in caught.value.message
    assert "argosy-shelf 3.1 (entry point 'shelf')" in caught.value.message
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert "--no-plugin shelf" in caught.value.hint
    assert caught.value.exit_code == 7


def test_an_incompatible_one_names_its_distribution_and_can_be_left_out(
    site: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site))
    # nothing else is looked at: its contract is another one
    install("later-shelf", OUTPUT.format(api=7).replace("produce", "make"), {"later": "later_shelf"})
    with pytest.raises(PluginError, match=r"later-shelf 1\.0.*plugin API 7"):
        PluginManager.load(["argosy"])
    assert PluginManager.load(["argosy", "later"]).plugins() == ()
