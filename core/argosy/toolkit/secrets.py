"""Secrets stand anywhere but in a configuration: here they are found, and kept from being shown."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from argosy.errors import ConfigError

#: The largest secret that is read from a file.
_MAX_BYTES = 1024 * 1024


class Secret:
    """A value that does not show itself: not by ``repr``, not by ``str``, not in a pickle."""

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


def asked_once(ask: Callable[[str], str]) -> Callable[[str], str]:
    """Return what asks the person each question once, however many processes of a run need the answer."""
    answers: dict[str, str] = {}

    def once(text: str) -> str:
        if text not in answers:
            answers[text] = ask(text)
        return answers[text]

    return once


def resolve(value: str | Mapping[str, Any], *, base: Path, ask: Callable[[str], str] | None = None) -> Secret:
    """Return the secret that a configuration refers to.

    Parameters
    ----------
    value
        ``{"env": NAME}``, ``{"file": PATH}`` (its text without the last line end), ``{"keyring": SERVICE,
        "user": USER}``, ``{"prompt": TEXT}``, or a plain string (not a secret, taken as it is).
    base
        The folder a relative PATH is relative to.
    ask
        Asks the person by a prompt; None where nobody can be asked.

    Raises
    ------
    ConfigError
        If there is no such secret there.
    """
    if isinstance(value, str):
        return Secret(value)
    if "env" in value:
        return _from_environment(value["env"])
    if "file" in value:
        return _from_file(base / Path(value["file"]).expanduser())
    if "keyring" in value:
        return _from_keyring(value["keyring"], value.get("user", ""))
    if ask is None:
        raise ConfigError(
            f"A secret is to be asked for ({value['prompt']!r}), but nobody can be asked here.",
            hint='Run it in a terminal, or give the secret by {"env": NAME} or {"file": PATH}.',
        )
    return Secret(ask(value["prompt"]))


def _from_environment(name: str) -> Secret:
    found = os.environ.get(name)
    if not found:
        raise ConfigError(
            f"The environment variable {name}, which the configuration names for a secret, is not set.",
            hint=f"Set it before the run: export {name}=...",
        )
    return Secret(found)


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:  # it may be a pipe: some password managers offer secrets in one
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {_MAX_BYTES:,} bytes")
        return Secret(data.decode().removesuffix("\n").removesuffix("\r"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"The file {path}, which the configuration names for a secret, cannot be read: {reason}.",
            hint="Write the secret, and nothing else, into it, readable by you alone.",
        ) from None


def _from_keyring(service: str, user: str) -> Secret:
    found = find_in_keyring(service, user)
    if found is None:
        raise ConfigError(
            f"The keyring has no secret for service {service!r} and user {user!r}.",
            hint=f"Store it: keyring set {service} {user!r}",
        )
    return found


def find_in_keyring(service: str, user: str) -> Secret | None:
    """Return a secret of the system's keyring; None where it has no such entry.

    Raises
    ------
    ConfigError
        If the keyring cannot be asked.
    """
    keyring = _keyring()
    try:
        found = keyring.get_password(service, user)
    except Exception as error:
        raise ConfigError(
            f"The keyring did not answer: {type(error).__name__}.",
            hint='Unlock it, or give the secret by {"env": NAME} or {"file": PATH}.',
        ) from None
    return None if found is None else Secret(found)


def put_in_keyring(service: str, user: str, secret: Secret) -> None:
    """Put a secret into the system's keyring.

    Raises
    ------
    ConfigError
        If it does not take it.
    """
    keyring = _keyring()
    try:
        keyring.set_password(service, user, secret.reveal())
    except Exception as error:
        raise ConfigError(
            f"The keyring did not take the secret for service {service!r} and user {user!r}: {type(error).__name__}.",
            hint='Unlock it, or give the secret by {"env": NAME} or {"file": PATH}.',
        ) from None


def _keyring() -> Any:
    try:
        import keyring
    except ImportError:
        raise ConfigError(
            "A secret is to come from the keyring, but the keyring library is not installed.",
            hint="Install it: pip install 'argosy[keyring]'.",
        ) from None
    return keyring
