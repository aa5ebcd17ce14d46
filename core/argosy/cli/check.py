"""Tries a configuration without a run: creates every plugin that it names, and collects the problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from argosy.config.location import open_storage
from argosy.config.messages import location
from argosy.config.schema import SLOTS, check
from argosy.config.settings import Settings, build
from argosy.engine.plan import items_of
from argosy.errors import ArgosyError, PluginError, Problem
from argosy.http.session import check_proxy, header_field
from argosy.interfaces.base import PluginContext
from argosy.interfaces.source import Source
from argosy.interfaces.transport import Transport
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.toolkit.secrets import Secret
from argosy.toolkit.stop import Stop

#: The keys whose values are tried.
_TRIED = frozenset({*SLOTS, "directory", "ca_bundle", "headers", "on_doubt", "proxy"})

#: Replaces a secret that is missing or that the user would have to give; valid as a password, as a key and, in base32,
#: as the key of one-time codes.
_STAND_IN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class _TrialContext(PluginContext):
    """Collects errors of secrets instead of raising them; never prompts, and opens no keyring."""

    missing: list[ArgosyError] = field(default_factory=list)

    def secret(self, value: str | Mapping[str, Any]) -> Secret:
        if not isinstance(value, str) and value.keys() & {"prompt", "keyring"}:
            return Secret(_STAND_IN)
        try:
            return super().secret(value)
        except ArgosyError as error:
            self.missing.append(error)
            return Secret(_STAND_IN)


def trial(
    document: Mapping[str, Any], plugins: PluginManager, path: Path, on_secret: Callable[[str], None]
) -> list[Problem]:
    """Return the problems of a configuration file beyond its schema, in its order, without any request."""
    found: list[Problem] = []
    base = path.absolute().parent
    for key, value in document.items():
        part = {key: value}
        if key == "headers" and "header_origins" in document:
            part["header_origins"] = document["header_origins"]  # required for secrets
        if key not in _TRIED or check(part, plugins, str(path)):
            continue
        if key == "proxy" and "transport" in document and not check({"transport": document["transport"]}, plugins, ""):
            part["transport"] = document["transport"]  # which decides what proxies can be used
        try:
            settings = build(part, plugins, base, path.absolute())
        except ArgosyError as error:
            found += problems_of(location({}, str(path), (key,)), error)
            continue
        given = getattr(settings, key)
        values = given if isinstance(given, tuple) else (given,)
        for number, options in enumerate(values):
            context = _TrialContext(base, base, on_secret=on_secret)
            try:
                _try(key, options, settings, plugins, context)
            except PluginError:
                raise
            except ArgosyError as error:
                context.missing.append(error)
            where = location({}, str(path), (key, number) if len(values) > 1 else (key,))
            found += [problem for error in context.missing for problem in problems_of(where, error)]
    return found


def _try(key: str, options: Any, settings: Settings, plugins: PluginManager, context: PluginContext) -> None:
    """Raise if a value of a top-level key is wrong."""
    if key == "proxy":
        proxy = Secret(options) if isinstance(options, str) else context.secret(options)
        if proxy.reveal() != _STAND_IN:
            transport = plugins.find(Kind.TRANSPORT, settings.transport["use"]).cls
            check_proxy(proxy, cast("type[Transport]", transport), context.on_secret)
        return
    if key == "headers":
        for name, value in options.items():
            header_field(name, value, context.secret)
        return
    if key in SLOTS:
        plugin = plugins.make(SLOTS[key].interface, options, context)
    elif key == "directory" and settings.remote is not None:
        context = replace(context, directory=settings.directory)
        plugin = open_storage(settings.remote, plugins, context)
    else:
        return
    try:
        plugin.check()
        if isinstance(plugin, Source) and not plugin.asks and "-" not in options.values():
            for _ in items_of(plugin, None, Stop(), lambda *_: None):
                pass  # standard input can be read only once, and a list behind a login needs one
    finally:
        plugin.close()


def problems_of(where: str, error: ArgosyError) -> list[Problem]:
    """Return an error as problems of a file at a place."""
    if error.problems:
        return [Problem(f"{where}: {one.where}", one.found, one.expected) for one in error.problems]
    hint = error.hint or "see the documentation of this key"
    return [Problem(where, _lower_first(error.message).removesuffix("."), _lower_first(hint))]


def _lower_first(sentence: str) -> str:
    is_word = sentence[1:2].islower() or sentence.startswith("A ")
    return sentence[:1].lower() + sentence[1:] if is_word else sentence
