"""The document of a store that keeps its sessions in a file: what is damaged is named, and never taken for empty."""

from __future__ import annotations

import hashlib
import json

import pytest

from argosy.errors import StoreDamaged
from argosy.interfaces.base import PluginContext
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores import _document as document
from argosy_plugins.cookie_stores._encryption import Sealing

PLAIN = Sealing({}, PluginContext(), "cookies.json", "json-file")
RECORDS = {"default": SessionRecord("default", 3, (Cookie("token", "s3cret", "library.example"),), logins=1)}
GOOD = document.dump(RECORDS, PLAIN, {})


def test_a_document_comes_back() -> None:
    assert document.parse(GOOD, "cookies.json", PLAIN) == RECORDS
    assert document.parse(document.dump({}, PLAIN, {}), "cookies.json", PLAIN) == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(GOOD[:-30], "is not JSON", id="cut"),
        pytest.param(b"\xff\xfe", "is not JSON", id="no text"),
        pytest.param(b"[" * 100_000, "is not JSON", id="deep"),
        pytest.param(b"[]", "not a session file", id="a list"),
        pytest.param(b'{"token": "abc"}', "not a session file", id="an export"),
        pytest.param(GOOD.replace(b"s3cret", b"s4cret"), "checksum", id="changed"),
        pytest.param(GOOD.replace(b'"sessions"', b'"seasons"'), "not complete", id="no sessions"),
    ],
)
def test_what_is_damaged_is_named(data: bytes, why: str) -> None:
    with pytest.raises(StoreDamaged, match=why) as error:
        document.parse(data, "cookies.json", PLAIN)
    assert str(error.value).startswith("cookies.json")
    assert error.value.hint
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("record", ["text", [], {}, {"session": "a"}, None])
def test_an_incomplete_record_is_damage(record: object) -> None:
    value = json.loads(document.dump({}, PLAIN, {}))
    value["sessions"] = {"a": record}
    text = json.dumps(value["sessions"], sort_keys=True, separators=(",", ":"))
    value["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(StoreDamaged, match="not complete"):
        document.parse(json.dumps(value).encode(), "cookies.json", PLAIN)
