"""Records as a cookie store keeps them: in the clear, or encrypted (sealed) where a configuration says so.

A store that keeps `Sealing.to_value` in place of `SessionRecord.to_dict`, and reads it by `Sealing.from_value`, has the
option ``encrypt``: nothing else in it need know. A sealed record is one JSON object::

    {"session": "default", "generation": 7, "sealed": 1,
     "key": {"salt": "...", "n": 131072, "r": 8, "p": 1, "id": "..."}, "data": "..."}

``data`` is the record's JSON text by AES-256-GCM (NIST SP 800-38D) behind its nonce of 96 random bits; all the other members are bound to it
as associated data. So a record that is given another name or generation, or is carried into another store, does not open.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from shlex import quote
from typing import Any

from argosy.contracts.base import PluginContext
from argosy.errors import StoreSealed
from argosy.session.keys import Derivation, DerivedKey, StoreKey
from argosy.session.record import SessionRecord

VERSION = 1
_NONCE_BYTES = 12
#: What is bound to the encrypted record.
_HEAD = ("session", "generation", "sealed", "key")

#: The schema of a store's option ``encrypt``.
ENCRYPT: Mapping[str, Any] = {
    "$ref": "argosy:common#/$defs/secret",
    "description": "Where the key is kept, or a passphrase, that sessions are encrypted with; "
    "without it they are kept in the clear.",
}

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Sealing:
    """Turns records into JSON values for a store, and back.

    Parameters
    ----------
    key
        What they are encrypted with; None to keep them in the clear.
    where
        The store's place, for messages: a path.
    store
        The name of the store's plugin, for messages.
    """

    def __init__(self, key: StoreKey | None = None, where: str = "The cookie store", store: str = "") -> None:
        self._key = key
        self._where = where
        self._store = store
        self._latest: DerivedKey | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], context: PluginContext, where: str, store: str) -> Sealing:
        """Return what the option ``encrypt`` of a store says.

        Parameters
        ----------
        options
            The store's options.
        context
            Resolves the secret, in each process by itself.
        where, store
            The store's place and the name of its plugin, for messages.

        Raises
        ------
        ConfigError
            If there is no such secret, or the library for it is not installed.
        """
        reference = options.get("encrypt")
        return cls(None if reference is None else StoreKey(reference, context), where, store)

    def to_value(self, record: SessionRecord) -> dict[str, Any]:
        """Return what to keep of a record, as JSON values.

        A store calls it while nobody else writes, and after it has read what it has: all records of a store then have
        one salt, and the first key that a keyring is given is not lost to a second one.

        Raises
        ------
        ConfigError
            If there is no key, and none can be made.
        """
        if self._key is None:
            return record.to_dict()
        if self._latest is None:
            self._latest = self._key.fresh()
        key = self._latest
        head = {
            "session": record.session,
            "generation": record.generation,
            "sealed": VERSION,
            "key": key.value,
        }
        nonce = os.urandom(_NONCE_BYTES)
        data = key.cipher.encrypt(nonce, _canonical(record.to_dict()).encode(), _canonical(head).encode())
        return {**head, "data": base64.b64encode(nonce + data).decode()}

    def from_value(self, value: Mapping[str, Any], session: str) -> SessionRecord:
        """Return the record of what `to_value` returned.

        Parameters
        ----------
        value
            What was kept.
        session
            The name it was kept under.

        Raises
        ------
        StoreSealed
            If it was encrypted with another key, or is encrypted and there is no key, or is in the clear and must not be.
        AttributeError, KeyError, TypeError, ValueError
            If it was changed since, or is no record; a store turns these into `StoreDamaged`.
        """
        if "sealed" in value:
            value = self._unsealed(value)
        elif self._key is not None:
            raise self._in_the_clear(session)
        record = SessionRecord.from_dict(dict(value))
        if record.session != session:
            raise ValueError("the record of another session")
        return record

    def _unsealed(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if value["sealed"] != VERSION:
            raise self._other_version(value["sealed"])
        if type(value["generation"]) is not int:
            raise ValueError("no generation")
        derivation = Derivation.from_dict(value["key"])
        head = {name: value[name] for name in _HEAD}
        data = base64.b64decode(value["data"], validate=True)
        if self._key is None or not self._key.is_known:
            raise self._without_key()
        key = self._key.derived(derivation)
        if key.id != value["key"]["id"]:
            raise self._wrong_key()
        from cryptography.exceptions import InvalidTag  # an extra, and there is a key: it is installed

        try:
            text = key.cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _canonical(head).encode())
        except InvalidTag:
            raise ValueError("changed since it was sealed") from None
        self._latest = self._latest or key
        record: dict[str, Any] = json.loads(text)
        if record["generation"] != head["generation"]:
            raise ValueError("sealed with another generation")
        return record

    def _without_key(self) -> StoreSealed:
        if self._key is not None:
            return StoreSealed(
                f"{self._where} is encrypted, and the keyring has no key for it any more. It is left as it is.",
                hint="Put the key back into the keyring, or give the cookie store another path and log in again: "
                "argosy login CONFIG",
            )
        return StoreSealed(
            f"{self._where} is encrypted, and no key for it is given, so it is left as it is.",
            hint='Name the key under "encrypt" in "cookie_store", for example {"env": NAME}.',
        )

    def _other_version(self, version: object) -> StoreSealed:
        return StoreSealed(
            f"{self._where} was encrypted in version {version!r}, and this argosy opens version {VERSION}.",
            hint="Use the argosy that wrote it, or give the cookie store another path and log in again: "
            "argosy login CONFIG",
        )

    def _wrong_key(self) -> StoreSealed:
        return StoreSealed(
            f"{self._where} cannot be opened with this key, so it is left as it is.",
            hint='Give the key that it was encrypted with ("encrypt" in "cookie_store"). If that is lost, give the '
            "cookie store another path and log in again: argosy login CONFIG",
        )

    def _in_the_clear(self, session: str) -> StoreSealed:
        return StoreSealed(
            f'{self._where} keeps the session {session!r} in the clear, and "encrypt" is set, so it is left as it is.',
            hint="Give the cookie store another path and move the session there: "
            f"argosy session copy --from {quote(f'{self._store}:{self._where}')} --to CONFIG",
        )


#: Keeps records in the clear.
PLAIN = Sealing()
