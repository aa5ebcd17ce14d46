"""Where an authorization server publishes its endpoints, and which documents are not its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from argosy.errors import ConfigError, LoginFailed
from argosy_plugins.auth._token_endpoint import discover

OAUTH, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


@pytest.fixture
def find(make_site: Any, reply: Any, session: Any) -> Callable[..., Any]:
    """Return a function that publishes documents by their paths, and looks for those of an issuer."""

    def find(issuer_path: str, pages: dict[str, Any]) -> Any:
        site = make_site()
        for path, page in pages.items():
            text = page if isinstance(page, str) else json.dumps({"token_endpoint": f"{site.url}/token", **page})
            site.pages[path] = lambda asked, text=text: reply(text.replace("URL", site.url))
        found = discover(session.http, f"{site.url}{issuer_path}")
        assert found.token == f"{site.url}/token"
        return found

    return find


@pytest.mark.parametrize("path", [OAUTH, OPENID])
@pytest.mark.parametrize(("issuer", "written"), [("", "URL"), ("/", "URL"), ("", "URL/"), ("/", "URL/")])
def test_an_issuer_publishes_its_endpoints(find: Callable[..., Any], path: str, issuer: str, written: str) -> None:
    found = find(issuer, {path: {"issuer": written, "authorization_endpoint": "https://login.example/a"}})
    assert found.issuer.endswith("/") is written.endswith("/"), "as the server writes it in its answers"
    assert (found.authorization, found.challenges, found.names_issuer) == ("https://login.example/a", None, False)


@pytest.mark.parametrize("path", [f"{OAUTH}/tenant/7", f"/tenant/7{OPENID}", f"{OPENID}/tenant/7", f"/tenant/7{OAUTH}"])
def test_an_issuer_may_have_a_path(find: Callable[..., Any], path: str) -> None:
    document = {
        "issuer": "URL/tenant/7",
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    found = find("/tenant/7", {path: document})
    assert (found.challenges, found.names_issuer, found.authorization) == (("plain", "S256"), True, None)


@pytest.mark.parametrize("first", ["<!doctype html><p>Not found", "[]", "{", {"issuer": "https://evil.example"}, {}])
def test_the_next_document_is_read_if_one_is_no_good(find: Callable[..., Any], first: object) -> None:
    find("", {OAUTH: first, OPENID: {"issuer": "URL"}})


@pytest.mark.parametrize("pages", [{}, {OAUTH: "<p>Hello"}])
def test_an_issuer_without_a_document(find: Callable[..., Any], pages: dict[str, Any]) -> None:
    with pytest.raises(LoginFailed, match=r"publishes no endpoints"):
        find("", pages)


@pytest.mark.parametrize("issuer", [{"issuer": "URL/other"}, {"issuer": ["URL"]}, {}])
def test_documents_of_another_issuer(find: Callable[..., Any], issuer: dict[str, Any]) -> None:
    with pytest.raises(LoginFailed, match="another issuer"):
        find("", {OAUTH: issuer, OPENID: issuer})


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize("url", ["http://login.example/", "ftp://login.example/", "", 7, []])
def test_an_endpoint_that_is_none(find: Callable[..., Any], name: str, url: object) -> None:
    with pytest.raises(ConfigError, match=f"The {name.replace('_', ' ')} of the auth oauth2"):
        find("", {OAUTH: {"issuer": "URL", name: url}})
