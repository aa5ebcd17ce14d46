"""The URLs of services as paths of a gateway, and back."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import ConfigError
from argosy.models.session import origin_of
from argosy.toolkit.redaction import Redactor
from argosy_gateway import fields
from argosy_gateway.routes import Routes, given_origins

ONE = Routes(["https://library.example"])
TWO = Routes(["https://library.example", "http://api.example:8080"])
PATHS = st.text(st.sampled_from(string.ascii_letters + string.digits + "/%.~:@&=?;,-_"), max_size=30).map("/{}".format)


@given(PATHS)
def test_a_path_leads_to_the_service_and_back(path: str) -> None:
    assert ONE.path(str(ONE.url(path))) == path
    for host, origin in (
        ("library.example", "https://library.example"),
        ("api.example:8080", "http://api.example:8080"),
    ):
        url = TWO.url(f"/{host}{path}")
        assert url == origin + path
        assert TWO.path(url) == f"/{host}{path}"


@given(PATHS)
def test_no_path_leads_elsewhere(path: str) -> None:
    assert origin_of(str(ONE.url(path))) == "https://library.example"
    for start in ("", "/library.example", "/api.example:8080", "/api.example:80801", "/api.example"):
        url = TWO.url(start + path)
        assert url is None or origin_of(url) in TWO.origins


@given(st.text(max_size=60), st.sampled_from(["location", "content-location", "refresh", "link"]))
def test_any_value_of_a_field_passes_or_is_dropped(value: str, name: str) -> None:
    base = "http://127.0.0.1:1/secret"
    latin = value.encode("utf-8", "replace").decode("latin-1")
    passed = fields.for_client([(name, latin)], ONE, "https://library.example/a", base, Redactor(), frozenset())
    assert len(passed) <= 2
    fields.for_service([("Referer", value), ("Origin", value), ("Connection", value)], ONE, base)


@pytest.mark.parametrize("path", ["/other.example/a", "/", "/api.example/a", "/api.example:80801/a", "?q"])
def test_hosts_that_were_not_given(path: str) -> None:
    assert TWO.url(path) is None


def test_origins_are_hosts() -> None:
    assert given_origins(["HTTPS://Library.example:443/", "https://library.example"]) == ("https://library.example",)
    with pytest.raises(ConfigError, match="differ only"):
        Routes(["https://library.example", "http://library.example"])
    for wrong in ("ftp://library.example", "https://ada:pw@library.example", "https://library.example?x", ""):
        with pytest.raises(ConfigError) as raised:
            given_origins([wrong])
        assert "pw" not in str(raised.value)
