"""Session records as JSON values, in the clear or encrypted.

An encrypted record is a JSON object: ``{"session": "default", "generation": 7, "sealed": 1, "salt": "...", "key": "...",
"data": "..."}``. ``data`` is a nonce of 96 random bits and the record's JSON text, encrypted with AES-256-GCM (NIST SP
800-38D). The other members are its associated data, so a record does not open with another name or generation, or in
another store. The key comes from the secret by HKDF (RFC 5869) with the salt; a passphrase first goes through scrypt (RFC
7914). ``key`` identifies the key and reveals nothing about it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any

from argosy.errors import ConfigError, StorageError, StoreSealed
from argosy.interfaces import PluginContext
from argosy.models.session import SessionRecord
from argosy.toolkit.secrets import KEY_PREFIX, Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: The schema of a store's option ``encrypt``.
ENCRYPT: Mapping[str, Any] = {
    "$ref": "argosy:common#/$defs/secret",
    "description": "The key, or a passphrase, that encrypts sessions. By default they are not encrypted.",
}

#: It fixes the algorithms and the costs below.
_VERSION = 1
_KEY = re.compile(re.escape(KEY_PREFIX) + r"[A-Za-z0-9_-]{43}")
_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
#: OWASP's first choice for scrypt (2024): a third of a second and 128 MiB.
_COST, _BLOCK, _LANES = 1 << 17, 8, 1

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Sealing:
    """Turns records into JSON values for a store, and back.

    Parameters
    ----------
    options
        The store's options; the secret is ``encrypt``, if records are encrypted.
    context
        Resolves the secret.
    where, store
        The store's path and the name of its plugin, for messages.
    """

    def __init__(self, options: Mapping[str, Any], context: PluginContext, where: str, store: str) -> None:
        self._where = where
        self._store = store
        self._mutex = threading.Lock()
        self._keys: dict[str, tuple[str, AESGCM]] = {}
        self._salt = ""  # of the records in the store, so that they share one key
        self._secret = _secret(options["encrypt"], context) if "encrypt" in options else None

    def to_value(self, record: SessionRecord) -> dict[str, Any]:
        """Return what to store; call it under the store's lock, after reading the store."""
        if self._secret is None:
            return record.to_dict()
        self._salt = self._salt or base64.b64encode(os.urandom(_SALT_BYTES)).decode()
        name, cipher = self._key(self._secret, self._salt)
        head = {
            "session": record.session,
            "generation": record.generation,
            "sealed": _VERSION,
            "salt": self._salt,
            "key": name,
        }
        nonce = os.urandom(_NONCE_BYTES)
        data = cipher.encrypt(nonce, canonical(record.to_dict()).encode(), canonical(head).encode())
        return {**head, "data": base64.b64encode(nonce + data).decode()}

    def from_value(self, value: Mapping[str, Any], session: str) -> SessionRecord:
        """Return the record of a stored value.

        Raises
        ------
        StoreSealed
            If it needs another key, or no key.
        AttributeError, KeyError, TypeError, ValueError
            If it was changed, or is not a record.
        """
        if "sealed" in value:
            value = self._opened(value)
        elif self._secret is not None:
            raise StoreSealed(
                f'{self._where} keeps the session {session!r} in the clear, but "encrypt" is set. It was not changed.',
                hint="Give the cookie store another path and move the session there: "
                f"argosy session copy --from {quote(f'{self._store}:{self._where}')} --to CONFIG",
            )
        record = SessionRecord.from_dict(dict(value))
        if record.session != session:
            raise ValueError("the record of another session")
        return record

    def _opened(self, value: Mapping[str, Any]) -> dict[str, Any]:
        head = {name: part for name, part in value.items() if name != "data"}
        if head["sealed"] != _VERSION or len(base64.b64decode(head["salt"], validate=True)) != _SALT_BYTES:
            raise ValueError("not a sealed record")
        data = base64.b64decode(value["data"], validate=True)
        if self._secret is None:
            raise StoreSealed(
                f"{self._where} is encrypted, and no key for it is given. It was not changed.",
                hint='Name the key under "encrypt" in "cookie_store", for example {"env": NAME}.',
            )
        name, cipher = self._key(self._secret, head["salt"])
        if name != head["key"]:
            raise StoreSealed(
                f"{self._where} cannot be opened with this key. It was not changed.",
                hint='Give the key it was encrypted with ("encrypt" in "cookie_store"). If that is lost, give the cookie '
                "store another path and log in again: argosy login CONFIG",
            )
        from cryptography.exceptions import InvalidTag  # an extra; with a key, it is installed

        try:
            text = cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], canonical(head).encode())
        except InvalidTag:
            raise ValueError("changed since it was sealed") from None
        self._salt = self._salt or head["salt"]
        record: dict[str, Any] = json.loads(text)
        return record

    def _key(self, secret: Secret, salt: str) -> tuple[str, AESGCM]:
        """Return the name of a key, and its cipher."""
        with self._mutex:  # a second thread waits instead of deriving it, too
            if salt not in self._keys:
                self._keys[salt] = _derive(secret.reveal(), base64.b64decode(salt))
            return self._keys[salt]


def _secret(reference: str | Mapping[str, Any], context: PluginContext) -> Secret:
    try:
        import cryptography  # noqa: F401 - an extra: needed before anything is written
    except ImportError:
        raise ConfigError(
            '"encrypt" needs the cryptography library, which is not installed.',
            hint="Install it: pip install 'argosy[encrypt]'.",
        ) from None
    try:
        secret = context.secret(reference)
    except ConfigError as error:
        hint = f"{error.hint} `argosy session key` prints a new key."
        raise ConfigError(error.message, hint=hint) from None
    if not secret.reveal().strip():
        raise ConfigError('The secret of "encrypt" is empty.', hint="`argosy session key` prints a new key.")
    if secret.reveal().startswith(KEY_PREFIX) and not _KEY.fullmatch(secret.reveal()):
        raise ConfigError(
            f'The secret of "encrypt" begins with {KEY_PREFIX} but is not a whole key.',
            hint="A key has 56 characters; was it cut when it was copied?",
        )
    return secret


def _derive(secret: str, salt: bytes) -> tuple[str, AESGCM]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    material = secret.encode()
    if not secret.startswith(KEY_PREFIX):
        try:
            material = Scrypt(salt, _KEY_BYTES, _COST, _BLOCK, _LANES).derive(material)
        except MemoryError:
            raise StorageError(
                "There is not enough memory to derive a key from a passphrase (128 MiB).",
                hint="Use a key instead of a passphrase: argosy session key",
            ) from None
    derived = HKDF(SHA256(), _KEY_BYTES + 8, salt, b"argosy sealed session 1").derive(material)
    return base64.b64encode(derived[_KEY_BYTES:]).decode(), AESGCM(derived[:_KEY_BYTES])
