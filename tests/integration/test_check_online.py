"""``argosy config check --online``: it looks at the login page, and sends no credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import warm
from argosy_devkit import LibraryServer


@pytest.fixture(scope="module")
def server() -> Any:
    with LibraryServer(lease_mode="revoke") as server:
        yield server


def check(folder: Path, server: LibraryServer, *, name: str = "argosy.json", **changes: Any) -> tuple[int, str]:
    """Return the exit code and what is said about the auth with some changes."""
    auth = {
        "use": "form-login",
        "url": server.login_url,
        "fields": {"user": "ada", "password": {"env": "HOME"}},
        **changes,
    }
    (folder / "argosy.json").write_text(json.dumps({"auth": auth}), "utf-8")
    done = warm.run("config", "check", name, "--online", cwd=folder)
    assert server.stats().logins == server.stats().failed_logins == 0
    return done.returncode, done.stdout + done.stderr


def test_the_fields_are_named(server: LibraryServer, tmp_path: Path) -> None:
    code, said = check(tmp_path, server)
    assert (code, f"The login page {server.login_url} has 1 form." in said) == (0, True)
    fields = (
        "csrf (already filled in), realm (already filled in), user, password (password), action (already filled in)"
    )
    assert f"The login form has the fields: {fields}.\n" in said
    assert "argosy.json: valid" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"fields": {"usr": "ada", "password": {"env": "HOME"}}},
            "auth.fields.usr: the login form has no such field; one of csrf, realm, user, password, action\n",
        ),
        ({"form": "login"}, """the login form; a page with the login form, or "form" with one of 0\n"""),
    ],
)
def test_what_differs_is_a_problem(server: LibraryServer, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    code, text = check(tmp_path, server, **changes)
    assert (code, said in text) == (2, True), text


def test_a_code_may_be_asked_for_later(server: LibraryServer, tmp_path: Path) -> None:
    fields = {"user": "ada", "password": {"env": "HOME"}, "otp": {"one_time": {"prompt": "Code"}}}
    code, said = check(tmp_path, server, fields=fields)
    assert (code, "Not on this page, so a later one has to ask for it: otp." in said) == (0, True), said


def test_a_page_that_does_not_come(server: LibraryServer, tmp_path: Path) -> None:
    code, said = check(tmp_path, server, url=server.url_for("/gone"))
    assert (code, f"auth.url: the login page {server.url_for('/gone')} answered with status 401; check" in said) == (
        2,
        True,
    )
    code, said = check(tmp_path, server, url="http://127.0.0.1:9/login")
    assert (code, "cannot be reached: Connection refused" in said) == (2, True), said


def test_without_it_nothing_is_sent(server: LibraryServer, tmp_path: Path) -> None:
    check(tmp_path, server)
    before = server.stats().requests
    assert warm.run("config", "check", "argosy.json", cwd=tmp_path).returncode == 0
    assert warm.run("config", "check", "--offline", "argosy.json", cwd=tmp_path).returncode == 0
    assert server.stats().requests == before


def test_another_auth_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "argosy.toml").write_text('auth = "none"\n', "utf-8")
    done = warm.run("config", "check", "argosy.toml", "--online", cwd=tmp_path)
    assert (
        done.stdout
        == "The auth 'none' has no login page to look at.\nargosy.toml: valid\nIt has no source: give URLs on the command line.\n"
    )
