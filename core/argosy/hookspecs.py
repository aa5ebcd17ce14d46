# mypy: disable-error-code="empty-body"
"""The hooks of plugins, one for each kind.

A plugin is a module (or any object) registered under the entry-point group ``argosy``. It implements the hooks of the
kinds it offers; each returns the plugin's class::

    @argosy.hookimpl
    def argosy_output() -> type[argosy.Output]:
        return Catalogue
"""

from __future__ import annotations

import pluggy

from argosy.interfaces import Auth, CookieStore, Observer, Output, RateLimit, Source, Storage, Strategy, Transport

hookspec = pluggy.HookspecMarker("argosy")
hookimpl = pluggy.HookimplMarker("argosy")


@hookspec
def argosy_source() -> type[Source]:
    """Return a class that yields items."""


@hookspec
def argosy_auth() -> type[Auth]:
    """Return a class that logs in and detects refusals."""


@hookspec
def argosy_cookie_store() -> type[CookieStore]:
    """Return a class that stores sessions and grants leases on them."""


@hookspec
def argosy_strategy() -> type[Strategy]:
    """Return a class that distributes the items among workers."""


@hookspec
def argosy_output() -> type[Output]:
    """Return a class that makes final files of downloaded resources."""


@hookspec
def argosy_observer() -> type[Observer]:
    """Return a class that receives the events of a run."""


@hookspec
def argosy_storage() -> type[Storage]:
    """Return a class that stores finished files; its name is the scheme of its URLs."""


@hookspec
def argosy_ratelimit() -> type[RateLimit]:
    """Return a class that shares the request rates of hosts among processes."""


@hookspec
def argosy_transport() -> type[Transport]:
    """Return a class that sends requests."""
