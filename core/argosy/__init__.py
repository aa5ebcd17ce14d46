"""argosy downloads many things, in parallel, from services that replace your session token while you work."""

from argosy._version import __version__
from argosy.contracts import (
    Auth,
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
from argosy.hookspecs import hookimpl
from argosy.model import Item, Outcome, Product, Resource, StagedFile, StagedItem

__all__ = [
    "ArgosyError",
    "Auth",
    "CookieStore",
    "Item",
    "LoginSession",
    "Observer",
    "Outcome",
    "Output",
    "Plugin",
    "PluginContext",
    "Product",
    "Resource",
    "ResponseHead",
    "Scope",
    "Source",
    "StagedFile",
    "StagedItem",
    "Strategy",
    "__version__",
    "hookimpl",
]
