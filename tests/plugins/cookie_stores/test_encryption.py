"""Records that are encrypted: what opens, what does not, and what is said of it."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import ConfigError, StoreDamaged, StoreSealed
from argosy.interfaces.base import PluginContext
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy.toolkit.secrets import new_key
from argosy_plugins.cookie_stores import _document as document
from argosy_plugins.cookie_stores._encryption import Sealing

RECORD = SessionRecord("default", 7, (Cookie("token", "s3cret-token", "library.example"),), logins=1)
KEY = "argosy-key-1:P7hoUdkw4qEnxXjAr8ZvdHI2hH9RMmJ0p5RQqbpjzR4"


def sealing(secret: Any = KEY, context: PluginContext | None = None) -> Sealing:
    return Sealing({"encrypt": secret}, context or PluginContext(), "cookies.json", "json-file")


PLAIN = Sealing({}, PluginContext(), "cookies.json", "json-file")


@pytest.mark.parametrize("secret", [KEY, "a passphrase", " pässwörd 📖 "])
def test_a_record_comes_back_with_the_same_secret_alone(secret: str) -> None:
    value = json.loads(json.dumps(sealing(secret).to_value(RECORD)))
    assert "s3cret" not in json.dumps(value)
    assert sealing(secret).from_value(value, "default") == RECORD
    for other in (new_key(), f"{secret}x" if secret != KEY else "a passphrase"):
        with pytest.raises(StoreSealed, match=r"cookies.json cannot be opened with this key") as error:
            sealing(other).from_value(value, "default")
        assert "argosy login CONFIG" in (error.value.hint or "")
        assert secret not in str(error.value)


def test_without_a_key_it_does_not_open_and_with_one_nothing_is_in_the_clear() -> None:
    with pytest.raises(StoreSealed, match="is encrypted, and no key for it is given") as error:
        PLAIN.from_value(sealing().to_value(RECORD), "default")
    assert '"encrypt"' in (error.value.hint or "")
    with pytest.raises(StoreSealed, match="keeps the session 'default' in the clear") as error:
        sealing().from_value(RECORD.to_dict(), "default")
    assert "argosy session copy --from json-file:cookies.json --to CONFIG" in (error.value.hint or "")


def test_the_same_record_never_looks_the_same_and_has_the_salt_of_those_that_were_read() -> None:
    first, second = sealing(), sealing()
    one = first.to_value(RECORD)
    assert first.to_value(RECORD)["data"] != one["data"]
    second.from_value(one, "default")
    assert second.to_value(RECORD)["key"] == one["key"]
    assert sealing().to_value(RECORD)["key"] != one["key"], "each store has a key of its own"


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another name": lambda value: value.update(session="other"),
    "a newer generation": lambda value: value.update(generation=8),
    "no number": lambda value: value.update(generation=7.0),
    "another version": lambda value: value.update(sealed=2),
    "no data": lambda value: value.update(data=""),
    "not base64": lambda value: value.update(data="\n" + value["data"]),
    "cut": lambda value: value.update(data=value["data"][:-4]),
    "no key": lambda value: value.pop("key"),
    "a key that is none": lambda value: value.update(key=[]),
    "half a salt": lambda value: value.update(salt="AAAA"),
    "no salt": lambda value: value.pop("salt"),
    "something else": lambda value: value.update(more=1),
}


@pytest.mark.parametrize("what", list(CHANGES))
def test_a_record_that_was_changed_does_not_open(what: str) -> None:
    value = copy.deepcopy(sealing().to_value(RECORD))
    CHANGES[what](value)
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError, StoreSealed)):
        sealing().from_value(value, "default")


def test_a_record_does_not_open_under_another_name_or_in_another_store() -> None:
    one, other = sealing(), sealing()
    value, others = one.to_value(RECORD), other.to_value(replace(RECORD, generation=9))
    with pytest.raises(ValueError, match="another session"):
        one.from_value(value, "other")
    for mixed in (
        {**others, "data": value["data"]},
        {**value, "key": others["key"], "salt": others["salt"]},
    ):
        with pytest.raises(ValueError, match="changed since"):
            one.from_value(mixed, "default")


DOCUMENT = document.dump({"default": RECORD, "other": SessionRecord("other", 1)}, sealing(), {})
OPENS = sealing()


@settings(deadline=None)
@given(place=st.integers(0, len(DOCUMENT) - 1), bits=st.integers(1, 255))
def test_a_document_with_any_byte_changed_is_refused_or_the_same(place: int, bits: int) -> None:
    changed = bytearray(DOCUMENT)
    changed[place] ^= bits
    try:
        found = document.parse(bytes(changed), "cookies.json", OPENS)
    except StoreDamaged:
        return
    assert found == document.parse(DOCUMENT, "cookies.json", OPENS)  # a blank in place of a line end


@settings(deadline=None)
@given(place=st.integers(0, 10_000), bits=st.integers(1, 127))
def test_a_record_with_any_byte_changed_is_refused_or_the_same(place: int, bits: int) -> None:
    """As above, by somebody who can make the checksum fit."""
    value = OPENS.to_value(RECORD)
    text = bytearray(json.dumps(value).encode())
    text[place % len(text)] ^= bits
    try:
        changed = json.loads(text)
    except ValueError:
        return
    try:
        found = OPENS.from_value(changed, "default")
    except (AttributeError, KeyError, TypeError, ValueError, StoreSealed):
        return
    assert found == RECORD


@pytest.mark.parametrize("secret", ["", "  ", "argosy-key-1:", KEY[:-1], f"{KEY}A", KEY.replace("-1:", "-1:!")[:56]])
def test_a_secret_that_is_no_use_is_refused(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"encrypt.*(is empty|not a whole key)") as error:
        sealing(secret)
    assert secret.strip() == "" or secret == "argosy-key-1:" or secret not in str(error.value)


def test_a_key_does_not_show_itself_and_is_not_pickled() -> None:
    sealed = sealing()
    sealed.to_value(RECORD)
    assert KEY not in f"{sealed!r} {sealed.__dict__!r}"
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(sealed)


def test_a_key_is_derived_once() -> None:
    sealed = sealing("a passphrase")
    sealed.from_value(sealed.to_value(RECORD), "default")
    assert len(sealed._keys) == 1


def test_new_keys_are_keys_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"argosy-key-1:[\w-]{43}", key) for key in keys)


def test_the_secret_is_told_so_that_it_can_be_kept_out_of_what_is_shown(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "key").write_text(KEY + "\n", "utf-8")
    sealing({"file": "key"}, PluginContext(base=tmp_path, on_secret=told.append))
    assert told == [KEY]
