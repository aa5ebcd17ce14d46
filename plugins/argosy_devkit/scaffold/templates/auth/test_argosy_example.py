"""Runs the contract of auth plugins."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.auth import AuthContract

from argosy_example import ExampleAuth


class TestExampleAuth(AuthContract):
    plugin = ExampleAuth

    # The suite counts logins and replaced tokens at a library server; its settings `carrier` and `csrf` move the token
    # to header fields, nonces or bodies. For a service of yours, override `service`, `counted`, `item` and `is_right`.

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Log in to a library server; override the fixture ``service`` to use another service."""
        (tmp_path / "right.txt").write_text(service.password, "utf-8")
        return {"url": service.login_url, "user": service.user, "password": {"file": "right.txt"}}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Use a wrong password."""
        (tmp_path / "wrong.txt").write_text("not-the-password", "utf-8")
        return {**self.options_for(service, tmp_path), "password": {"file": "wrong.txt"}}


def test_it_is_installed() -> None:
    (entry_point,) = entry_points(group="argosy", name="example")
    assert entry_point.load().argosy_auth() is ExampleAuth
