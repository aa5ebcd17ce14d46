"""Choosing the strategy: the plain fallback, and strictness about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.config.load import load
from argosy.engine.context import RunContext, choose
from argosy.errors import ConfigError
from argosy.events import EventKind
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Job, Outcome
from argosy.plugins.manager import PluginManager
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop


class Wide(Strategy):
    """Needs a lease that reaches over the processes of the host."""

    name = "wide"
    summary = "For the test of the fallback"
    needs = Scope.HOST

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        return map(work, jobs)


LOGIN = {"use": "form-login", "url": "http://127.0.0.1/login"}


def chosen(tmp_path: Path, **config: Any) -> tuple[Strategy, str | None]:
    (tmp_path / "p").write_text("secret", "utf-8")
    plugins = PluginManager(given=[Wide])
    login = LOGIN | {"fields": {"user": "a", "password": {"file": str(tmp_path / "p")}}}
    settings = load({"auth": login, **config}, plugins)

    def emit(kind: EventKind, item: str | None, data: Any) -> None:
        return None

    context = RunContext(settings, plugins, emit, Stop(), Redactor())
    try:
        return choose(context, plugins)
    finally:
        context.close()


def test_unset_it_follows_the_workers(tmp_path: Path) -> None:
    assert chosen(tmp_path, max_workers=1, cookie_store="memory")[0].name == "serial"
    strategy, reason = chosen(tmp_path, max_workers=2, cookie_store="memory")
    assert (strategy.name, reason) == ("threads", None)


def test_a_store_that_reaches_too_short_a_way_makes_it_serial(tmp_path: Path) -> None:
    strategy, reason = chosen(tmp_path, strategy="wide", cookie_store="memory")
    assert strategy.name == "serial"
    assert reason is not None
    for word in ("wide", "memory", "serial", "json-file"):  # asked, why not, what instead, what to change
        assert word in reason


def test_strict_makes_that_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only covers one process"):
        chosen(tmp_path, strategy="wide", cookie_store="memory", strict=True)


def test_a_store_that_reaches_far_enough_will_do(tmp_path: Path) -> None:
    store = {"use": "json-file", "path": str(tmp_path / "cookies.json")}
    assert chosen(tmp_path, strategy="wide", cookie_store=store)[0].name == "wide"


def test_where_nobody_is_logged_in_any_store_will_do(tmp_path: Path) -> None:
    assert chosen(tmp_path, strategy="wide", cookie_store="memory", auth="none")[0].name == "wide"


def test_serial_with_many_workers_says_so(tmp_path: Path) -> None:
    strategy, reason = chosen(tmp_path, strategy="serial", max_workers=8, cookie_store="memory")
    assert (strategy.name, "no effect" in str(reason)) == ("serial", True)


def test_workers_on_several_machines_need_a_store_that_covers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wide, "needs", Scope.CLUSTER)
    store = {"use": "json-file", "path": str(tmp_path / "cookies.json")}
    with pytest.raises(ConfigError, match=r"several machines, .* only covers one machine") as caught:
        chosen(tmp_path, strategy="wide", cookie_store=store, strict=True)
    assert '"redis"' in str(caught.value.hint)
    assert "json-file" not in str(caught.value.hint)
    assert chosen(tmp_path, strategy="wide", cookie_store="memory", auth="none")[0].name == "wide"


def test_what_a_strategy_needs_may_depend_on_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(self: Wide) -> Scope:
        return Scope.CLUSTER if "address" in self.options else Scope.PROCESS

    monkeypatch.setattr(Wide, "needs", property(needs))
    monkeypatch.setattr(
        Wide, "options_schema", {"type": "object", "properties": {"address": {"type": "string"}}}, raising=False
    )
    assert chosen(tmp_path, strategy="wide", cookie_store="memory")[0].name == "wide"
    far = {"use": "wide", "address": "tcp://10.0.0.1:8786"}
    assert chosen(tmp_path, strategy=far, cookie_store="memory")[0].name == "serial"
