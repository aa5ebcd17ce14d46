"""Finds the secrets that a configuration refers to, and keeps them from being shown."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Any, NoReturn

from argosy.errors import ConfigError

_INSTEAD = 'give the secret by {"env": NAME} or {"file": PATH}.'
#: The prefix of keys that `new_key` makes; any other text is a passphrase.
KEY_PREFIX = "argosy-key-1:"


class Secret:
    """A value that does not appear in ``repr``, ``str`` or a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, for the one line that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: each process resolves its own")


def new_key() -> str:
    """Return a new random key of 256 bits for the option ``encrypt`` of a cookie store."""
    return KEY_PREFIX + base64.urlsafe_b64encode(token_bytes(32)).decode().rstrip("=")


def resolve(value: str | Mapping[str, Any], *, base: Path, ask: Callable[[str], str] | None = None) -> Secret:
    """Return the secret that a configuration refers to, or raise a `ConfigError`.

    A plain string is the secret itself; a file is relative to `base` and loses its last line end; a prompt needs `ask`.
    """
    if isinstance(value, str):
        return Secret(value)
    if "env" in value:
        name = value["env"]
        if not os.environ.get(name):
            message = f"The environment variable {name}, which should hold a secret, is not set."
            raise ConfigError(message, hint=f"Set it before the run: export {name}=...")
        return Secret(os.environ[name])
    if "file" in value:
        return _from_file(base / Path(value["file"]).expanduser())
    if "keyring" in value:
        return _from_keyring(value["keyring"], value.get("user", ""))
    if ask is None:
        message = f"A secret needs a prompt ({value['prompt']!r}), but there is no terminal."
        raise ConfigError(message, hint=f"Run argosy in a terminal, or {_INSTEAD}")
    return Secret(ask(value["prompt"]))


def _from_file(path: Path) -> Secret:
    try:
        return Secret(path.read_bytes().decode().removesuffix("\n").removesuffix("\r"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"The file {path}, which should hold a secret, cannot be read: {reason}."
        raise ConfigError(message, hint="Write only the secret into it, readable by you alone.") from None


def _from_keyring(service: str, user: str) -> Secret:
    try:
        import keyring

        found = keyring.get_password(service, user)
    except ImportError:
        message = "A secret is in the keyring, but the keyring library is not installed."
        raise ConfigError(message, hint="Install it: pip install 'argosy[keyring]'.") from None
    except Exception as error:
        message = f"The keyring did not answer: {type(error).__name__}."
        raise ConfigError(message, hint=f"Unlock it, or {_INSTEAD}") from None
    if found is None:
        message = f"The keyring has no secret for service {service!r} and user {user!r}."
        raise ConfigError(message, hint=f"Store it: keyring set {service} {user!r}")
    return Secret(found)
