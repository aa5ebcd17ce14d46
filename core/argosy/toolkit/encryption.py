"""The key that a cookie store's records are encrypted with: where it comes from, and what is made of it.

What a configuration names is either a random key (as ``argosy session key`` prints one), or a passphrase. A passphrase
is stretched by scrypt (RFC 7914), which takes a third of a second and 128 MiB, once for each store in each process. Either is
mixed with a salt by HKDF (RFC 5869), so that two stores with one secret have two keys. The salt, and what scrypt was told,
stand beside what is encrypted.

Records as a cookie store keeps them: in the clear, or encrypted (sealed) where a configuration says so.

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
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from argosy.errors import ConfigError, StorageError, StoreSealed
from argosy.interfaces.base import PluginContext
from argosy.models.session import SessionRecord
from argosy.toolkit.secrets import Secret, find_in_keyring, put_in_keyring

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: What a random key begins with; anything else is a passphrase.
KEY_PREFIX = "argosy-key-1:"
_KEY_BYTES = 32
_SALT_BYTES = 16
_ID_BYTES = 8
_KEY = re.compile(re.escape(KEY_PREFIX) + r"[A-Za-z0-9_-]{43}")

#: What a passphrase costs whoever guesses it: OWASP's first choice for scrypt (2024).
_SCRYPT = {"n": 1 << 17, "r": 8, "p": 1}
#: What a store may ask for at most; a file that somebody changed must not take all the memory there is.
_MOST = {"n": 1 << 20, "r": 8, "p": 16}


def new_key() -> str:
    """Return a new random key of 256 bits, as text."""
    return KEY_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a key is made of a secret; it stands beside what was encrypted with that key.

    Parameters
    ----------
    salt
        16 random bytes in base64.
    n, r, p
        What scrypt is told (RFC 7914, section 2); all 0 for a random key, which needs no stretching.
    """

    salt: str
    n: int = 0
    r: int = 0
    p: int = 0

    @classmethod
    def fresh(cls, secret: Secret) -> Derivation:
        """Return a new one for a secret."""
        salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode()
        return cls(salt, **({} if _is_key(secret) else _SCRYPT))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Derivation:
        """Return the one that `to_dict` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none, or asks for more than `_MOST`.
        """
        salt, *numbers = value["salt"], *(value.get(name, 0) for name in _MOST)
        whole = len(base64.b64decode(salt, validate=True)) == _SALT_BYTES
        if not whole or not all(type(number) is int for number in numbers):
            raise ValueError("no derivation")
        found = cls(salt, *numbers)
        limits = zip(numbers, _MOST.values(), strict=True)
        if any(numbers) and not (
            found.n.bit_count() == 1 and all(0 < number <= most for number, most in limits)
        ):
            raise ValueError("no derivation that is worth its while")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        stretching = {"n": self.n, "r": self.r, "p": self.p} if self.n else {}
        return {"salt": self.salt, **stretching}


@dataclass(frozen=True, slots=True)
class DerivedKey:
    """A key that is ready for use.

    Parameters
    ----------
    derivation
        How it was made.
    id
        Tells it from other keys, and says nothing of it, in base64.
    value
        Both as JSON values, to stand beside what is encrypted.
    cipher
        AES-256-GCM with it.
    """

    derivation: Derivation
    id: str
    value: Mapping[str, Any]
    cipher: AESGCM

    def __repr__(self) -> str:
        return f"DerivedKey(id={self.id!r})"


class StoreKey:
    """The secret of one store in one process, and the keys that were made of it.

    Parameters
    ----------
    reference
        Where the secret is kept, as it stands in the configuration. A keyring that has no such entry yet gets a random
        key when the first one is needed.
    context
        Resolves the secret.

    Raises
    ------
    ConfigError
        If there is no such secret, it is of no use, or the library for it is not installed.
    """

    def __init__(self, reference: str | Mapping[str, Any], context: PluginContext) -> None:
        _need_library()
        self._reference = reference
        self._context = context
        self._mutex = threading.Lock()
        self._keys: dict[Derivation, DerivedKey] = {}
        self._secret: Secret | None = None
        if self._entry is None:
            self._secret = _checked(context.secret(reference))
        else:
            self._look_up()

    @property
    def is_known(self) -> bool:
        """Whether there is a secret; a keyring may have none yet."""
        return self._secret is not None or self._look_up()

    def fresh(self) -> DerivedKey:
        """Return a key with a new salt; where a keyring has no secret yet, it gets one."""
        with self._mutex:
            if self._secret is None:
                self._make()
            secret = self._known()
        return self.derived(Derivation.fresh(secret))

    def derived(self, derivation: Derivation) -> DerivedKey:
        """Return the key that is made in one way; made once."""
        with self._mutex:  # a second thread that needs it waits, rather than making it as well
            found = self._keys.get(derivation)
            if found is None:
                found = self._keys[derivation] = _derive(self._known(), derivation)
            return found

    @property
    def _entry(self) -> tuple[str, str] | None:
        """The service and the user of a keyring's entry."""
        if isinstance(self._reference, str) or "keyring" not in self._reference:
            return None
        return self._reference["keyring"], self._reference.get("user", "")

    def _known(self) -> Secret:
        if self._secret is None:
            raise ConfigError(
                "The keyring does not keep the key of the cookie store.",
                hint='Name the key by {"env": NAME} or {"file": PATH}; `argosy session key` prints a new one.',
            )
        return self._secret

    def _look_up(self) -> bool:
        if self._entry is None:
            return False
        found = find_in_keyring(*self._entry)
        if found is not None:
            self._context.on_secret(found.reveal())
            self._secret = _checked(found)
        return found is not None

    def _make(self) -> None:
        """Put a random key into the keyring, unless another program was faster."""
        import platformdirs

        from argosy.toolkit.locks import HostLock

        if self._entry is None:
            return
        folder = platformdirs.user_state_path("argosy")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {folder} cannot be made: {error.strerror}.",
                hint="Check the permissions there, then start again.",
            ) from None
        # two programs that put a key there at once would lose one of them, with all that it encrypted
        release = HostLock(folder / "keyring.lock", give_way=False).acquire()
        try:
            if not self._look_up():
                put_in_keyring(*self._entry, Secret(new_key()))
                self._look_up()  # what is there is used, whatever the keyring made of it
        finally:
            if release is not None:
                release()


def _need_library() -> None:
    try:
        import cryptography  # noqa: F401 - an extra: asked for before anything is encrypted
    except ImportError:
        raise ConfigError(
            'A cookie store is to be encrypted ("encrypt"), but the cryptography library is not installed.',
            hint="Install it: pip install 'argosy[encrypt]'.",
        ) from None


def _is_key(secret: Secret) -> bool:
    return secret.reveal().startswith(KEY_PREFIX)


def _checked(secret: Secret) -> Secret:
    if not secret.reveal().strip():
        raise ConfigError(
            'The secret that "encrypt" names is empty.', hint="Make one: argosy session key > FILE"
        )
    if _is_key(secret) and not _KEY.fullmatch(secret.reveal()):
        raise ConfigError(
            f'The secret that "encrypt" names begins with {KEY_PREFIX} but is not a whole key.',
            hint="A key is 56 characters long; was it cut off when it was copied?",
        )
    return secret


def _derive(secret: Secret, derivation: Derivation) -> DerivedKey:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    salt = base64.b64decode(derivation.salt)
    text = secret.reveal().encode()
    if derivation.n:
        try:
            text = Scrypt(salt, _KEY_BYTES, derivation.n, derivation.r, derivation.p).derive(text)
        except MemoryError:
            raise StorageError(
                f"There is not enough memory to make a key of a passphrase "
                f"({128 * derivation.n * derivation.r >> 20} MiB).",
                hint="Use a random key instead of a passphrase: argosy session key",
            ) from None
    made = HKDF(SHA256(), _KEY_BYTES + _ID_BYTES, salt, b"argosy sealed session 1").derive(text)
    name = base64.b64encode(made[_KEY_BYTES:]).decode()
    return DerivedKey(derivation, name, {**derivation.to_dict(), "id": name}, AESGCM(made[:_KEY_BYTES]))


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
