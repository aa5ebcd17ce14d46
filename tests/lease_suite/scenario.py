"""A session at a service in memory, and as many programs on it as a test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.lease import Lease, changed
from argosy.leasing.login import Authority
from argosy.leasing.policy import Policy, SessionCallbacks
from argosy.models.session import SessionRecord
from argosy_devkit.contracts.store_processes import SESSION
from argosy_devkit.contracts.waiting import Thread
from lease_suite.service import URL, Service, TapedStore, is_free


class LeaseScenario:
    """A session at a service, on the store that is tested, with as many managers as there are programs.

    Parameters
    ----------
    store
        The store.
    manager_class
        What the managers are.
    """

    def __init__(self, store: CookieStore, manager_class: Any) -> None:
        self.store = TapedStore(store)
        self.service = Service()
        self.login: Authority | None = None  # the service's own, unless it is another one
        self.told: list[str] = []
        self.on_sleep: Callable[[float], None] = lambda seconds: None
        self._manager_class = manager_class

    def manager(self, *, can_login: bool = True, **policy: Any) -> Any:
        """Return another program's manager."""
        watch = SessionCallbacks(
            waiting=lambda what: self.told.append(f"waiting {what}"),
            notice=lambda message: self.told.append(f"notice: {message}"),
            secret=lambda value: self.told.append(f"secret: {value}"),
            sleep=lambda seconds: self.on_sleep(seconds),
        )
        login = (self.login or self.service.log_in) if can_login else None
        return self._manager_class(self.store, SESSION, Policy(**policy), login=login, callbacks=watch)

    def record(self) -> SessionRecord:
        """Return the session's record."""
        found = self.store.read(SESSION)
        assert found is not None, "the session's record is gone"
        return found

    def token(self) -> str:
        """Return the token of the record."""
        (token,) = [cookie.value for cookie in self.record().cookies if cookie.name == "token"]
        return token

    def is_free(self) -> bool:
        """Return whether the session is free."""
        return bool(Thread(lambda: is_free(self.store.store, SESSION)).result())

    def change(self, **changes: Any) -> SessionRecord:
        """Change the record behind everybody's back; return it."""
        record = self.record()
        newer = replace(changed(record), **changes)
        self.store.store.write(newer, record.generation)
        return newer

    def send(self, lease: Lease) -> list[str] | None:
        """Send the request of a lease; return what the answer brings."""
        return self.service.receive(lease.cookie_header(URL))

    def fetch(self, manager: Any) -> Any:
        """Send one request to its end; return its stamp."""
        lease = manager.lease(URL)
        lease.settle(self.send(lease) or [], URL, None)
        lease.end()
        return lease.stamp

    def lose_the_answer(self, manager: Any) -> None:
        """Send one request whose answer never comes."""
        lease = manager.lease(URL)
        assert self.send(lease) is not None
        self.service.reason = True
        lease.doubt()
        lease.end(complete=False)
