"""Every mistake is named: where it is, what was found, what would be right."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.config.schema import SLOTS, check
from argosy.plugins.manager import PluginManager
from argosy.toolkit.text import escape_controls

LOGIN = {"use": "form-login", "url": "https://library.example/login"}


def lines(document: Any, plugins: PluginManager) -> list[str]:
    return [str(problem) for problem in check(document, plugins, "a.toml")]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"max_workers": 2, "token_save_interval": 4, "download_delay": 10, "force_redownload": False},
        {"strategy": "serial", "max_workers": 8},
        {"source": {"use": "manifest", "path": "x"}, "output": "zip", "observers": ["log"]},
        {"output": ["files", {"use": "zip", "level": 0}]},
        {"output": {"use": "open", "anything": 1}},
        {"on_doubt": "ask", "tags": "a, b", "timeout": {"read": 0.5}},
        {"on_doubt": {"wait": 2.5}, "tags": ["a"]},
        {"auth": {**LOGIN, "fields": {"user": "ada", "password": {"env": "PASSWORD"}}}},
        {"directory": Path("somewhere"), "tags": ("a", "b")},
    ],
)
def test_valid(document: dict[str, Any], plugins: PluginManager) -> None:
    assert lines(document, plugins) == []


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (5, "a.toml: found a value (not shown); expected an object"),
        ({"max_wrkers": 3}, 'a.toml: unknown key "max_wrkers"; did you mean "max_workers"?'),
        ({"max_workers": 0}, "a.toml: max_workers: found 0; expected a whole number, at least 1, at most 256"),
        ({"max_workers": "4"}, 'a.toml: max_workers: found "4"; expected a whole number, at least 1, at most 256'),
        ({"max_workers": True}, "a.toml: max_workers: found true; expected a whole number, at least 1, at most 256"),
        ({"max_workers": 10**80}, ("a.toml: max_workers: found a very large number; "
         "expected a whole number, at least 1, at most 256")),
        ({"lease": "exclusiv"}, ('a.toml: lease: found "exclusiv"; expected one of "exclusive", '
         '"exclusive-to-end", "shared", "auto"; did you mean "exclusive"?')),
        ({"timeout": {"read": 0}}, "a.toml: timeout.read: found 0; expected a number, above 0, at most 86400"),
        ({"session": "a\n"}, 'a.toml: session: found "a\\n"; expected text, matching ^([A-Za-z0-9._-]|\\{shard\\}){1,64}$'),
        ({"output": []}, "a.toml: output: found an empty list; expected a list, length at least 1"),
        ({"output": 5}, "a.toml: output: found 5; expected text or an object or a list"),
        ({"observers": "log"}, 'a.toml: observers: found "log"; expected a list'),
        ({"on_doubt": "wait"}, 'a.toml: on_doubt: found "wait"; expected one of "login", "ask"'),
        ({"source": {}}, ('a.toml: source: the key "use" is missing; '
         "it is required: The name of an installed source plugin.")),
        ({"source": "manifset"}, ('a.toml: source.use: found "manifset"; expected one of "manifest", "urls"; '
         'did you mean "manifest"?')),
        ({"auth": "form-login"}, 'a.toml: auth: the key "url" is missing; it is required: The login page.'),
        ({"auth": {**LOGIN, "method": "post"}}, ('a.toml: auth.method: found "post"; '
         'expected one of "POST", "GET"; did you mean "POST"?')),
        ({"auth": {**LOGIN, "url": "no url"}}, 'a.toml: auth.url: found "no url"; expected text, matching ^https?://\\S+$'),
        ({"output": ["files", {"use": "zip", "lvl": 2}]},
         'a.toml: output[1]: unknown key "lvl"; did you mean "level"?'),
        ({"auth": {"use": "bearer", "token": {"keyring": "A"}}}, ('a.toml: auth.token: the key "user" is '
         "missing; it is required: The user name of the secret in the keyring; requires keyring.")),
        ({"auth": {"use": "bearer", "token": {"env": "A", "file": "b"}}}, ('a.toml: auth.token: found "env" '
         'and "file" together; expected exactly one of the keys "env", "file", "keyring", "prompt"')),
        ({"tags": [datetime.date(2026, 1, 1)]},
         "a.toml: tags[0]: found a value of type date; expected a JSON value"),
        ({"retry_delay": float("nan")},
         "a.toml: retry_delay: found nan; expected a JSON value"),
        ({"source": {"use": "manifest", "path": "x", "a.b\x1b": 1}},
         'a.toml: source: unknown key "a.b\\u001b"; the keys here are "use", "path"'),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line(document: Any, line: str, plugins: PluginManager) -> None:
    assert lines(document, plugins) == [line]


def test_all_problems_at_once_in_a_fixed_order(plugins: PluginManager) -> None:
    document = {"strict": 1, "max_workers": 0, "output": [{"use": "zip", "level": i} for i in range(8, 12)]}
    found = lines(document, plugins)
    assert [line.split(": ")[1] for line in found] == [
        "max_workers",
        "output[2].level",
        "output[3].level",
        "strict",
    ]
    assert found == lines(dict(reversed(document.items())), plugins)


@pytest.mark.parametrize(
    "document",
    [
        {"password": "hunter2"},
        {"auth": {"use": "bearer", "token": "hunter2"}},
        {"auth": {"use": "bearer", "token": ["hunter2"]}},
        {"auth": {"use": "bearer", "token": {"evn": "hunter2"}}},
        {"auth": {"use": "bearer", "token": {"env": "hunter2 or so"}}},
        {"auth": {**LOGIN, "fields": {"pin": ["hunter2"]}}},
        {"auth": {**LOGIN, "fields": "hunter2", "password": "hunter2"}},
        {"auth": {**LOGIN, "fields": ["hunter2"]}},
        {"auth": {**LOGIN, "method": "https://ada:hunter2@library.example/"}},
        {"auth": {**LOGIN, "url": "https://ada:hunter2@library.example/ x"}},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(document: dict[str, Any], plugins: PluginManager) -> None:
    found = lines(document, plugins)
    assert found
    assert "hunter2" not in "\n".join(found)


def test_a_long_value_is_cut_and_control_characters_are_escaped(plugins: PluginManager) -> None:
    (line,) = lines({"lease": "\x1b[2J\u202e" + "x" * 5000}, plugins)
    assert len(line) < 250
    assert line.isprintable()


def test_keys_of_the_command_line_are_named_so(plugins: PluginManager) -> None:
    found = check({"max_workers": 0, "sessions": 0}, plugins, "a.toml", overrides=["max_workers"])
    assert [p.where for p in found] == ["command line: max_workers", "a.toml: sessions"]


def test_nesting_without_end_is_a_problem_not_a_crash(plugins: PluginManager) -> None:
    deep: Any = []
    for _ in range(600):
        deep = [deep]
    assert re.search("more than 50 nested levels", lines({"tags": deep}, plugins)[0])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
options = st.dictionaries(st.sampled_from(["url", "fields", "token", "path", "level", "env", "wait"]), values)
uses = st.sampled_from(["none", "form-login", "bearer", "manifest", "zip", "files", "log", "threads"])
slots = uses | st.builds(lambda use, rest: {**rest, "use": use}, uses, options)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=values
    | st.dictionaries(
        st.sampled_from([*SLOTS, "on_doubt", "timeout", "tags", "max_workers"]) | st.text(max_size=9),
        values | slots | st.lists(slots),
    )
)
def test_check_never_raises(document: Any, plugins: PluginManager) -> None:
    problems = check(document, plugins, "a.json")
    assert all(escape_controls(line := str(problem)) == line and "\n" not in line for problem in problems)
    assert problems == check(document, plugins, "a.json")
