"""Nothing is taken away from plugins, or changed under them, unseen."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

import surface
from argosy import interfaces as contracts
from argosy_devkit.contracts.auth import AuthContract
from argosy_devkit.contracts.cookie_store import CookieStoreContract
from argosy_devkit.contracts.observer import ObserverContract
from argosy_devkit.contracts.output import OutputContract
from argosy_devkit.contracts.ratelimit import RateLimitContract
from argosy_devkit.contracts.source import SourceContract
from argosy_devkit.contracts.storage import StorageContract
from argosy_devkit.contracts.strategy import StrategyContract
from argosy_devkit.contracts.transport import TransportContract
from documents import ROOT

PIN = ROOT / "docs" / "reference" / "plugin-surface.txt"
HELP = """
The public surface of plugins is not what docs/reference/plugin-surface.txt says.
If something was only added, run `python docs/generate.py` and commit the list.
If something was removed or changed, plugins break; docs/plugins/stability.md says what is promised.
"""

SUITES = [
    SourceContract,
    AuthContract,
    CookieStoreContract,
    StrategyContract,
    OutputContract,
    ObserverContract,
    StorageContract,
    RateLimitContract,
    TransportContract,
]


def test_the_surface_is_the_one_that_was_promised() -> None:
    promised = PIN.read_text("utf-8").splitlines()[1:]
    there = surface.lines()
    changes = list(difflib.unified_diff(promised, there, "promised", "there", n=0, lineterm=""))
    assert not changes, HELP + "\n".join(changes)


def test_what_is_taken_away_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(contracts.Auth, "logout")
    before = set(PIN.read_text("utf-8").splitlines()[1:])
    gone = before - set(surface.lines())
    assert gone == {"argosy.interfaces.Auth.logout (self, session: LoginSession) -> bool"}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_every_rule_says_what_is_promised_and_where_that_is_documented(suite: Any) -> None:
    from argosy_devkit.contracts.promises import promise_of

    class Mine(suite):  # type: ignore[misc]  # a class that is a parameter
        plugin = contracts.Plugin

    rules = [getattr(suite, name) for name in dir(suite) if name.startswith("test_")]
    assert len(rules) > 10
    for rule in rules:
        said = promise_of(Mine, rule)
        assert said is not None, rule
        document = said.rpartition("(")[2].rstrip(")") if "(" in said else said.rpartition(": ")[2]
        document = document.rpartition(": ")[2]
        assert (ROOT / document).is_file(), f"{rule.__name__}: {document}"
