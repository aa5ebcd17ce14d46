"""What is known about services beforehand: profiles, and cookies that are not tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.config.load import load
from argosy.errors import ConfigError, PluginError
from argosy.plugins import services
from argosy.plugins.manager import PluginManager

PROFILE = {"title": "Shelf", "fact": "It is kind.", "settings": {}, "why": "So.", "source": "https://shelf.example/doc"}


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Read the services anew before and after a test."""
    services.known.cache_clear()
    services.is_known.cache_clear()
    yield
    services.known.cache_clear()
    services.is_known.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: None) -> Any:
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(content: Any, name: str = "shelf_services") -> None:
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("", "utf-8")
        (package / "services.json").write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[argosy.services]\nshelf = {name}\n", "utf-8")
        services.known.cache_clear()

    yield install
    for name in [name for name in sys.modules if name.startswith("shelf")]:
        del sys.modules[name]


def test_each_profile_is_a_valid_configuration_with_a_source(plugins: PluginManager) -> None:
    profiles, _ = services.known()
    assert set(profiles) >= {"auth0", "cognito", "connect2id", "devise-token-auth", "keycloak", "okta", "ory-hydra",
                             "salesforce", "supabase"}  # fmt: skip
    for name, profile in profiles.items():
        assert profile.source.startswith("https://"), name
        assert profile.fact.endswith(".") and profile.why.endswith("."), name  # noqa: PT018
        load({"profile": name}, plugins)
        doubt = profile.settings.get("on_doubt")
        # a lost request is never tried again because of a grace period of refresh tokens
        assert doubt is None or doubt["wait"] < doubt["within"], name
        # what is in doubt is logged in anew only if that is possible
        assert doubt not in ("login", "ask"), name


@pytest.fixture
def plugins() -> PluginManager:
    return PluginManager()


def test_a_profile_sets_what_the_configuration_does_not(plugins: PluginManager) -> None:
    settings = load({"profile": "okta"}, plugins)
    assert (settings.lease, settings.on_doubt, settings.doubt_wait, settings.doubt_within) == ("auto", "wait", 5, 15)
    settings = load({"profile": "okta", "on_doubt": "ask", "lease": "exclusive"}, plugins)
    assert (settings.lease, settings.on_doubt, settings.doubt_within) == ("exclusive", "ask", None)
    assert load({"profile": "devise-token-auth"}, plugins).lease == "exclusive"
    assert load({"profile": "okta"}, plugins, {"on_doubt": "login"}).on_doubt == "login"


def test_an_unknown_profile_is_named_with_the_known_ones(plugins: PluginManager) -> None:
    with pytest.raises(ConfigError) as error:
        load({"profile": "keyclaok"}, plugins)
    (problem,) = error.value.problems
    assert 'did you mean "keycloak"?' in problem.expected
    assert '"okta"' in problem.expected
    with pytest.raises(ConfigError):
        load({"profile": ["okta"]}, plugins)


def test_the_grace_period_must_be_longer_than_the_wait(plugins: PluginManager) -> None:
    with pytest.raises(ConfigError, match="within"):
        load({"on_doubt": {"wait": 5, "within": 5}}, plugins)


def test_another_package_adds_profiles_and_cookies(install: Any, plugins: PluginManager) -> None:
    cookies = [{"of": "Shelf", "names": ["shelf_lb", "shelf_stats_*"], "source": "https://shelf.example/cookies"}]
    profile = {**PROFILE, "settings": {"lease": "shared", "token_cookies": ["sid"]}}
    install({"profiles": {"shelf": profile}, "cookies": cookies})
    settings = load({"profile": "shelf"}, plugins)
    assert (settings.lease, settings.token_cookies) == ("shared", ("sid",))
    assert services.is_known("shelf_lb") and services.is_known("shelf_stats_1")  # noqa: PT018
    assert not services.is_known("shelf_lb2") and services.is_known("AWSALB")  # noqa: PT018


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "Expecting"),
        ({"profiles": {"shelf": {"title": "Shelf"}}}, "fact"),
        ({"profiles": {"okta": PROFILE}}, "okta"),
        ({"profiles": {"shelf": {**PROFILE, "settings": {"directory": "/"}}}}, "directory"),
        ({"cookies": [{"of": "Shelf"}]}, "names"),
        ([], "list"),
    ],
)
def test_a_broken_package_is_named(install: Any, plugins: PluginManager, content: Any, fault: str) -> None:
    install(content)
    with pytest.raises(PluginError, match="shelf_services") as error:
        load({"profile": "okta"}, plugins)
    assert fault in error.value.message


@pytest.mark.parametrize(
    "name",
    ["AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBAPP-0", "BIGipServer~pool", "__cf_bm", "_ga", "_ga_ABC123", "_gid",
     "_gcl_au", "incap_ses_1_2", "visid_incap_1", "ARRAffinity", "ak_bmsc", "bm_sv"],
)  # fmt: skip
def test_cookies_of_balancers_bot_walls_and_statistics_are_known(name: str) -> None:
    assert services.is_known(name)


@pytest.mark.parametrize(
    "name",
    ["token", "sessionid", "JSESSIONID", "PHPSESSID", "AWSELBAuthSessionCookie-0", "AWSALBAuthNonce", "NSC_TMAS", "route",
     "SERVERID", "TS01abcdef", "_gaz", "x_ga", "awsalb", "__cf_bm2", "", "_session_id", "__Host-session", "_gh_sess"],
)  # fmt: skip
def test_other_cookies_are_not(name: str) -> None:
    assert not services.is_known(name)
