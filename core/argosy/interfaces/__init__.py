"""The base class of each kind of plugin. Read `base.py` first. May import the toolkit, models, events and errors."""

from argosy.interfaces.auth import Auth, LoginSession, ResponseHead, SessionSigner
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.channel import Address, Channel, Connection, Message
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.interfaces.observer import Observer
from argosy.interfaces.output import CollectingOutput, Output
from argosy.interfaces.ratelimit import RateLimit
from argosy.interfaces.source import Source
from argosy.interfaces.storage import Existing, Storage
from argosy.interfaces.strategy import Strategy, Work
from argosy.interfaces.transport import Hop, Incoming, ResponseHeaders, Transport

__all__ = [
    "Address", "Auth", "Channel", "CollectingOutput", "Connection", "CookieStore", "Existing", "Hop", "Incoming", "LoginSession", "Message", "Observer", "Output",
    "Plugin", "PluginContext", "RateLimit", "Release", "ResponseHead", "ResponseHeaders", "Scope", "SessionSigner", "Source", "Storage",
    "Strategy", "Transport", "Work",
]  # fmt: skip
