"""Messages show TOML to people who write TOML, and JSON to those who write JSON."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from argosy.cli import main
from argosy.cli.config import template
from argosy.cli.snippets import as_written, remember
from argosy.plugins.manager import PluginManager

HINT = 'Keep it elsewhere: {"env": NAME}, {"keyring": SERVICE, "user": NAME}. Or "allow_downgrade": true, or "lease".'
IN_TOML = 'Keep it elsewhere: {env = NAME}, {keyring = SERVICE, user = NAME}. Or allow_downgrade = true, or "lease".'


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("download", "a.toml"), IN_TOML),
        (("download", "a.json"), HINT),
        (("download", "A.JSON", "https://library.example/"), HINT),
        (("download", "https://library.example/a", "--report", "report.json"), IN_TOML),
        (("download", "--report", "report.json", "a.toml"), IN_TOML),
        (("session", "copy", "a.toml", "--to", "x"), HINT),
        ((), IN_TOML),
    ],
)  # fmt: skip
def test_the_configuration_decides(words: tuple[str, ...], shown: str) -> None:
    remember(words)
    assert as_written(HINT) == shown


def test_a_manifest_is_always_json() -> None:
    remember(("download", "a.toml"))
    for text in (
        'an object such as {"url": "https://..."}',
        'an object such as {"X-Requested-With": "XMLHttpRequest"}',
    ):
        assert as_written(text) == text


CONFIG = {
    "auth": {"use": "form-login", "url": "https://library.example/", "fields": {"user": "a", "password": "hush-4711"}}
}


def test_a_hint_in_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CONFIG), "utf-8")
    fields = '{ user = "a", password = "hush-4711" }'
    text = f'auth = {{ use = "form-login", url = "https://library.example/", fields = {fields} }}\n'
    assert tomllib.loads(text) == CONFIG
    (tmp_path / "a.toml").write_text(text, "utf-8")
    for name, shown in (("a.json", '{"env": NAME}'), ("a.toml", "{env = NAME}")):
        assert main(["config", "check", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert (shown in said, "hush-4711" in said) == (True, False)


def test_explanations_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "form-login"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "{env = NAME}" in said
    assert '{"env"' not in said + template(PluginManager())
