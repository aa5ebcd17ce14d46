"""From a configuration to settings: defaults, shorthands, paths, overrides."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from argosy.config.load import load
from argosy.config.settings import Timeout
from argosy.errors import ConfigError
from argosy.plugins.manager import PluginManager


def test_the_defaults(plugins: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, plugins)
    assert settings.path is None
    assert settings.base == settings.directory == tmp_path
    assert (settings.source, settings.strategy, settings.on_doubt) == (None, None, None)
    assert (settings.auth, settings.cookie_store) == ({"use": "none"}, {"use": "memory"})
    assert (settings.output, settings.observers) == (({"use": "files"},), ())
    assert settings.timeout == Timeout(10, 60, 60)
    assert (settings.max_workers, settings.sessions, settings.lease) == (4, None, "auto")
    assert (settings.max_logins, settings.token_save_interval, settings.max_retries) == (20, 1, 3)


def test_the_four_keys_alone_are_a_configuration(plugins: PluginManager) -> None:
    keys = {"max_workers": 2, "token_save_interval": 4, "download_delay": 10, "force_redownload": False}
    settings = load(keys, plugins)
    assert {key: getattr(settings, key) for key in keys} == keys


def test_shorthands_and_the_plugins_defaults(plugins: PluginManager) -> None:
    auth = {"use": "bearer", "token": {"env": "T"}}
    settings = load({"auth": auth, "output": "zip", "observers": ["log"], "strategy": "serial"}, plugins)
    assert settings.cookie_store == {"use": "json-file", "path": "cookies.json"}
    assert settings.output == ({"use": "zip", "level": 6},)
    assert settings.observers == ({"use": "log"},)
    assert settings.strategy == {"use": "serial"}
    assert settings.auth == auth
    assert load({"cookie_store": "json-file"}, plugins).cookie_store["use"] == "json-file"


@pytest.mark.parametrize(
    ("given", "tags"),
    [("", ()), (" Python , History,, ", ("Python", "History")), (["a, b", "a, b", " c"], ("a, b", "c"))],
)
def test_tags(given: Any, tags: tuple[str, ...], plugins: PluginManager) -> None:
    assert load({"tags": given}, plugins).tags == tags


def test_doubt_and_timeouts(plugins: PluginManager) -> None:
    settings = load({"on_doubt": {"wait": 3}, "timeout": {"read": 5}}, plugins)
    assert (settings.on_doubt, settings.doubt_wait) == ("wait", 3.0)
    assert settings.timeout == Timeout(10, 60, 5)
    assert load({"on_doubt": "ask"}, plugins).on_doubt == "ask"


def test_directories(plugins: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.toml").write_text('directory = "books"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = load("conf/a.toml", plugins)
    assert settings.path == tmp_path / "conf" / "a.toml"
    assert settings.base == tmp_path / "conf"
    assert settings.directory == tmp_path / "conf" / "books"
    assert load("conf/a.toml", plugins, {"directory": "x"}).directory == tmp_path / "x"
    assert load("conf/a.toml", plugins, {"directory": Path("x")}).directory == tmp_path / "x"
    assert load({"directory": "~/x"}, plugins).directory == tmp_path / "home" / "x"
    with pytest.raises(ConfigError, match="an unknown user"):
        load({"directory": "~nobody-of-this-name/x"}, plugins)


def test_overrides_replace_whole_keys_and_are_checked(plugins: PluginManager, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"max_workers": 0, "output": {"use": "zip", "level": 1}, "sessions": 0}')
    with pytest.raises(ConfigError) as caught:
        load(path, plugins, {"output": "zip", "lease": "x"})
    assert [p.where for p in caught.value.problems] == [
        "command line: lease",
        f"{path}: max_workers",
        f"{path}: sessions",
    ]
    settings = load(path, plugins, {"output": "zip", "max_workers": 3, "sessions": 1})
    assert settings.output == ({"use": "zip", "level": 6},)
    assert settings.max_workers == 3


def test_settings_can_be_pickled_and_the_configuration_is_left_alone(plugins: PluginManager) -> None:
    config: dict[str, Any] = {"output": {"use": "zip"}, "tags": ["a"]}
    settings = load(config, plugins)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert config == {"output": {"use": "zip"}, "tags": ["a"]}


def test_a_default_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="no auth plugin 'none'"):
        load({}, PluginManager(["argosy"]))
