"""Trying a configuration without a run: every plugin it names is made, and says what is wrong with its options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from argosy.config.check import SLOTS, check
from argosy.config.messages import location
from argosy.config.settings import PluginOptions, Settings, build
from argosy.errors import ArgosyError, PluginError, Problem
from argosy.http.network import proxy_of
from argosy.interfaces.base import Plugin, PluginContext
from argosy.plugins.manager import PluginManager
from argosy.storage.open import open_storage
from argosy.toolkit.secrets import Secret

#: What takes the place of a secret that is not there, or that a person would have to give: good as a password, as a
#: key and, in base32, as the key of one-time codes.
_STAND_IN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class _TrialContext(PluginContext):
    """Notes secrets that are missing, rather than raising at the first one; asks nobody, and opens no keyring."""

    missing: list[ArgosyError] = field(default_factory=list)

    def secret(self, value: str | Mapping[str, Any]) -> Secret:
        """Return the secret, or something in its place."""
        if not isinstance(value, str) and value.keys() & {"prompt", "keyring"}:
            return Secret(_STAND_IN)
        try:
            return super().secret(value)
        except ArgosyError as error:
            self.missing.append(error)
            return Secret(_STAND_IN)


def trial(
    document: Mapping[str, Any], registry: PluginManager, path: Path, on_secret: Callable[[str], None]
) -> list[Problem]:
    """Return what is wrong with a configuration beyond its schema, in its order; nothing is asked of a service.

    Parameters
    ----------
    document
        The configuration, as it was read. What its schema says is wrong is left to `argosy.config.check`.
    registry
        The installed plugins.
    path
        The configuration file.
    on_secret
        Told every secret that is resolved, so that it can be redacted.

    Raises
    ------
    PluginError
        If a plugin is broken.
    """
    found: list[Problem] = []
    for key, value in document.items():
        if key not in SLOTS and key not in ("directory", "ca_bundle", "proxy"):
            continue
        if check({key: value}, registry, str(path)):
            continue
        missing: list[ArgosyError] = []
        base = path.absolute().parent
        context = _TrialContext(base, base, on_secret=on_secret, missing=missing)
        try:
            settings = build({key: value}, registry, base, path.absolute())
        except ArgosyError as error:
            found += _problems(location({}, str(path), (key,)), error)
            continue
        for place, attempt in _attempts(key, settings, registry, context):
            where = location({}, str(path), place)
            missing.clear()
            try:
                attempt()
            except PluginError:
                raise
            except ArgosyError as error:
                missing.append(error)
            found += [problem for error in missing for problem in _problems(where, error)]
    return found


def _attempts(
    key: str, settings: Settings, registry: PluginManager, context: PluginContext
) -> Iterator[tuple[tuple[str | int, ...], Callable[[], None]]]:
    """Yield the places of one top-level key, and what shows whether each is right."""
    if key == "proxy" and settings.proxy is not None:
        proxy = settings.proxy
        yield (key,), lambda: _try_proxy(proxy, context)
    if key == "directory" and settings.remote is not None:
        remote = settings.remote
        yield (key,), lambda: _try(open_storage(settings.directory, remote, registry, context))
    if key not in SLOTS:
        return
    interface = SLOTS[key].interface
    given = getattr(settings, key)
    several = isinstance(given, tuple)
    for number, options in enumerate(given if several else [given]):
        place: tuple[str | int, ...] = (key, number) if several and len(given) > 1 else (key,)
        yield place, partial(_make_and_try, registry, interface, options, context)


def _make_and_try(
    registry: PluginManager, interface: type[Plugin], options: PluginOptions, context: PluginContext
) -> None:
    _try(registry.make(interface, options, context))


def _try(plugin: Plugin) -> None:
    try:
        plugin.check()
    finally:
        plugin.close()


def _try_proxy(proxy: str | Mapping[str, Any], context: PluginContext) -> None:
    found = Secret(proxy) if isinstance(proxy, str) else context.secret(proxy)
    if found.reveal() != _STAND_IN:
        proxy_of(proxy, lambda _: found, context.on_secret)


def _problems(where: str, error: ArgosyError) -> list[Problem]:
    """Return what an error says; several things, where it names several."""
    several: tuple[Problem, ...] = getattr(error, "problems", ())
    if several:
        return [Problem(f"{where}: {one.where}", one.found, one.expected) for one in several]
    hint = error.hint or "see the documentation of this key"
    return [Problem(where, _begun_small(error.message).removesuffix("."), _begun_small(hint))]


def _begun_small(sentence: str) -> str:
    return (
        sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() or sentence[:2] == "A " else sentence
    )
