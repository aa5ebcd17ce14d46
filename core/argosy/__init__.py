"""argosy downloads many things, in parallel, from services that replace your session token while you work."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from argosy._version import __version__

if TYPE_CHECKING:
    # isort: off
    from argosy.api import (
        AccessToken, SessionInfo, check_config, download, login, logout, open_session, open_store, preview, read_config,
        remake, sessions, token,
    )  # fmt: skip
    from argosy.engine.report import ItemReport, Report
    from argosy.errors import ArgosyError
    from argosy.hookspecs import hookimpl
    from argosy.http.adapter import LeasedAdapter
    from argosy.interfaces import (
        Auth, CollectingOutput, CookieStore, Existing, Hop, Incoming, LoginSession, Observer, Output, Plugin, PluginContext,
        RateLimit, ResponseHead, ResponseHeaders, Scope, SessionSigner, Source, Storage, Strategy, Transport,
    )  # fmt: skip
    from argosy.models import Carrier, ResponseRecord
    from argosy.models.items import (
        Failure, FinishedItem, Item, Outcome, Product, PublishedFile, Resource, StagedFile, StagedItem,
    )  # fmt: skip
    # isort: on

__all__ = [
    "AccessToken", "ArgosyError", "Auth", "Carrier", "CollectingOutput", "CookieStore", "Existing", "Failure",
    "FinishedItem", "Hop", "Incoming", "Item", "ItemReport", "LeasedAdapter", "LoginSession", "Observer", "Outcome",
    "Output", "Plugin", "PluginContext", "Product", "PublishedFile", "RateLimit", "Report", "Resource", "ResponseHead",
    "ResponseHeaders", "ResponseRecord", "Scope", "SessionInfo", "SessionSigner", "Source", "StagedFile", "StagedItem",
    "Storage", "Strategy", "Transport", "__version__", "check_config", "download", "hookimpl", "login", "logout",
    "open_session", "open_store", "preview", "read_config", "remake", "sessions", "token",
]  # fmt: skip

# Public names are imported when they are used, as `argosy --version` need not wait for requests. Light modules first.
_HOMES = (
    "argosy.errors", "argosy.models.items", "argosy.models.response_record", "argosy.models.session",
    "argosy.interfaces", "argosy.hookspecs",
    "argosy.http.adapter", "argosy.engine.report", "argosy.api",
)  # fmt: skip

# silent until a program configures logging
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    for home in _HOMES if name in __all__ else ():
        module = import_module(home)
        if hasattr(module, name):
            globals()[name] = getattr(module, name)
            return globals()[name]
    raise AttributeError(f"module 'argosy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
