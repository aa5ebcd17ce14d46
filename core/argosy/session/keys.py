"""The key that a cookie store's records are encrypted with: where it comes from, and what is made of it.

What a configuration names is either a random key (as ``argosy session key`` prints one), or a passphrase. A passphrase
is stretched by scrypt (RFC 7914), which takes a third of a second and 128 MiB, once for each store in each process. Either is
mixed with a salt by HKDF (RFC 5869), so that two stores with one secret have two keys. The salt, and what scrypt was told,
stand beside what is encrypted.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from argosy.contracts.base import PluginContext
from argosy.errors import ConfigError, StorageError
from argosy.secrets import Secret, find_in_keyring, put_in_keyring

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

        from argosy.locks import HostLock

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
