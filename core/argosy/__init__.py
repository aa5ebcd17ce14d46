"""argosy downloads many things, in parallel, from services that replace your session token while you work."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from argosy._version import __version__

if TYPE_CHECKING:
    from argosy.account import SessionInfo, login, logout, open_session, sessions
    from argosy.api import copy_sessions, download, open_store, remake
    from argosy.contracts import (
        Auth,
        CollectingOutput,
        CookieStore,
        LoginSession,
        Observer,
        Output,
        Plugin,
        PluginContext,
        ResponseHead,
        Scope,
        Source,
        Strategy,
    )
    from argosy.errors import ArgosyError
    from argosy.heads import ResponseRecord
    from argosy.hookspecs import hookimpl
    from argosy.model import (
        FinishedItem,
        Item,
        KeptFile,
        Outcome,
        Product,
        Resource,
        StagedFile,
        StagedItem,
    )
    from argosy.run.report import Report
    from argosy.transport.adapter import LeasedAdapter

__all__ = [
    "ArgosyError",
    "Auth",
    "CollectingOutput",
    "CookieStore",
    "FinishedItem",
    "Item",
    "KeptFile",
    "LeasedAdapter",
    "LoginSession",
    "Observer",
    "Outcome",
    "Output",
    "Plugin",
    "PluginContext",
    "Product",
    "Report",
    "Resource",
    "ResponseHead",
    "ResponseRecord",
    "Scope",
    "SessionInfo",
    "Source",
    "StagedFile",
    "StagedItem",
    "Strategy",
    "__version__",
    "copy_sessions",
    "download",
    "hookimpl",
    "login",
    "logout",
    "open_session",
    "open_store",
    "remake",
    "sessions",
]

# Public names are imported when they are first used: `argosy --version` need not wait for requests.
_HOMES = {
    "argosy.account": ("SessionInfo", "login", "logout", "open_session", "sessions"),
    "argosy.api": ("copy_sessions", "download", "open_store", "remake"),
    "argosy.contracts": (
        "Auth",
        "CollectingOutput",
        "CookieStore",
        "LoginSession",
        "Observer",
        "Output",
        "Plugin",
        "PluginContext",
        "ResponseHead",
        "Scope",
        "Source",
        "Strategy",
    ),
    "argosy.errors": ("ArgosyError",),
    "argosy.heads": ("ResponseRecord",),
    "argosy.hookspecs": ("hookimpl",),
    "argosy.model": (
        "FinishedItem",
        "Item",
        "KeptFile",
        "Outcome",
        "Product",
        "Resource",
        "StagedFile",
        "StagedItem",
    ),
    "argosy.run.report": ("Report",),
    "argosy.transport.adapter": ("LeasedAdapter",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'argosy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
