"""Sessions for programs, and what such a program reads of a configuration."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import argosy
from argosy.errors import ConfigError
from argosy.toolkit.redaction import Redactor
from argosy_devkit import LibraryServer
from argosy_devkit.client import ServerFactory


def config(server: LibraryServer) -> dict[str, object]:
    fields = {"user": server.user, "password": {"prompt": "Password"}}
    return {"auth": {"use": "form-login", "url": server.login_url, "fields": fields}, "cookie_store": "memory"}


def test_a_redactor_learns_the_secrets_and_the_user_is_asked(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="strict")
    redactor = Redactor()
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return server.password

    with argosy.open_session(config(server), redactor=redactor, ask=ask) as session:
        response = session.get(server.url_for("/files/a?size=10"))
    assert response.status_code == 200
    assert asked == ["Password"]
    assert redactor.redact(f"it is {server.password}") == "it is ***"
    assert redactor.redact(response.headers["Set-Cookie"]) != response.headers["Set-Cookie"]


def test_a_redirect_to_the_login_page_is_a_refusal_even_if_it_is_not_followed(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="redirect")
    with argosy.open_session(config(server), ask=lambda text: server.password) as session:
        for _ in range(2):
            response = session.get(server.url_for("/files/a?size=10"), allow_redirects=False)
            assert (response.status_code, len(response.content)) == (200, 10)
            server.expire_sessions()
    assert server.stats().logins == 2


def test_a_configuration_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "argosy.toml"
    path.write_text('auth = { use = "bearer", origins = ["https://api.example"], token = { env = "TOKEN" } }\n')
    path.chmod(stat.S_IRUSR)
    read = argosy.read_config(path)
    assert read["auth"]["header"] == "Authorization"
    assert read["auth"]["token"] == {"env": "TOKEN"}, "a secret is not looked up"
    assert (read["source"], read["lease"]) == (None, "auto")
    with pytest.raises(ConfigError):
        argosy.read_config({"auht": "none"})
