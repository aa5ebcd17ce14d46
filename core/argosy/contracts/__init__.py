"""What a plugin of each kind must do: one base class per kind, one or two methods each."""

from argosy.contracts.auth import Auth, LoginSession, ResponseHead
from argosy.contracts.base import Plugin, PluginContext
from argosy.contracts.cookie_store import CookieStore, Release, Scope
from argosy.contracts.observer import Observer
from argosy.contracts.output import CollectingOutput, Output
from argosy.contracts.source import Source
from argosy.contracts.strategy import Strategy, Work

__all__ = [
    "Auth",
    "CollectingOutput",
    "CookieStore",
    "LoginSession",
    "Observer",
    "Output",
    "Plugin",
    "PluginContext",
    "Release",
    "ResponseHead",
    "Scope",
    "Source",
    "Strategy",
    "Work",
]
