"""The lease's own code, in every order in which two or three senders can take their steps.

Other than the model in ``tests/model`` this is the program itself; other than the tests with hypothesis it
leaves no order out, and lets others come between any two operations of a store. How many runs and different
situations there were is shown by ``pytest -rP tests/core/leasing/test_interleavings.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.cookies import jar
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode
from argosy.models.session import SessionRecord, Status
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from interleavings import explore
from scenes import Cast, Session

#: How long it takes depends on the machine alone; that it ends is what the limit on steps is for.
pytestmark = pytest.mark.timeout(900)

Stores = Callable[[str], list[CookieStore]]

#: What is known of a service that was seen to replace tokens, so that nothing has to be learned.
REPLACES = {"lease": "exclusive", "proved": True}

#: What happens, and how many logins it may cost.
SCENES: dict[str, dict[str, Any]] = {
    "two send": {"requests": (2, 2)},
    "three send": {"requests": (1, 1, 1), "learned": REPLACES},
    "both come first": {"logged_in": False, "most_logins": 1},
    "one dies": {"mortal": True, "requests": (1, 2), "most_logins": 1},
    "one dies at the first login": {"mortal": True, "logged_in": False, "most_logins": 2},
    "an answer is lost": {"faults": 1, "most_logins": 1},
    "the session was ended": {"over": True, "most_logins": 1},
    "the session is ended": {"ends": True, "most_logins": 1},
    "shared, and ended": {"over": True, "replaces": False, "lease_mode": LeaseMode.SHARED, "most_logins": 1},
}


#: Scenes with so many orders that they take half a minute or more.
MANY_ORDERS = {"three send", "an answer is lost", "the session is ended"}

#: What is not worth the time of a file.
IN_MEMORY_ALONE = {"three send", "the session is ended"}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """What the senders use: threads share one in memory, and a session manager; processes open one file."""

    def make(kind: str) -> list[CookieStore]:
        context = PluginContext(base=tmp_path, directory=tmp_path)
        if kind == "memory":
            return [MemoryStore({}, context)]
        return [JsonFileStore({}, context) for _ in range(2)]

    return make


def _that_switches(stores: Stores, manager: type[SessionManager] = SessionManager) -> Cast:
    """Return two processes that were told that requests may overlap."""
    return Cast(
        stores("memory") * 2,
        requests=(2, 1),
        manager=manager,
        lease_mode=LeaseMode.AUTO,
        learned={"lease": "shared", "quiet": 10},
        replaces=False,
        begins=True,
        most_logins=2,
    )


def _explore(cast: Cast) -> None:
    runs, situations = explore(lambda: Session(cast))
    print(f"{runs} runs, {situations} situations")
    assert runs > 50, "there is nothing to explore"


@pytest.mark.slow
@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(scene, marks=[pytest.mark.slow] if scene in MANY_ORDERS else [])
        for scene in SCENES
        if "mortal" not in SCENES[scene]
    ],
)
def test_no_order_of_threads_breaks_it(stores: Stores, scene: str) -> None:
    _explore(Cast(stores("memory"), **SCENES[scene]))


@pytest.mark.slow
@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in IN_MEMORY_ALONE])
def test_no_order_of_processes_breaks_it(stores: Stores, scene: str) -> None:
    _explore(Cast(stores("json-file"), **{"learned": REPLACES, **SCENES[scene]}))


@pytest.mark.slow
def test_the_switch_to_exclusive_costs_what_overlapped_and_no_more(stores: Stores) -> None:
    """An exclusive lease never carries a replaced token, though the service begins to replace them at any moment."""
    _explore(_that_switches(stores))


# -- with a rule taken out


class IgnoresTheMark(SessionManager):
    def _in_doubt(self, record: SessionRecord) -> bool:
        return False


class DoesNotHold(SessionManager):
    def _acquire(self) -> Release:
        return lambda: None


class LogsInWithoutLooking(SessionManager):
    def refused(self, *_: Any, **__: Any) -> None:
        self.login()


class ClearsTheWinnersToken(SessionManager):
    def refused(self, *_: Any, **__: Any) -> None:
        release = self._acquire()
        self._write(self._read(), cookies=(), status=Status.DEAD, holder=None)
        release()


class BindsBeforeTheQueue(SessionManager):
    def lease(self, url: str, *args: Any) -> Any:
        cookies = self._read().cookies
        lease: Any = super().lease(url, *args)
        lease.cookie_header = lambda url: jar.cookie_header(cookies, url, 0.0)
        return lease


class _Altered(SessionManager):
    """Grants leases of which something was changed."""

    def _exclusive(self, release: Release) -> Any:
        lease = super()._exclusive(release)
        self.alter(lease, release)
        return lease

    def alter(self, lease: Any, release: Release) -> None:
        raise NotImplementedError


class DoesNotMark(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        lease.unsent()


class DoesNotStoreTheToken(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        settle = lease.settle
        lease.settle = lambda headers, url, date: settle([], url, date)


class SettlesInTwoSteps(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        settle = lease.settle

        def in_two_steps(*answer: Any) -> None:
            lease.unsent()
            settle(*answer)

        lease.settle = in_two_steps


class GivesBackBeforeTheAnswer(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        bind = lease.cookie_header

        def after_release(url: str) -> Any:
            release()
            return bind(url)

        lease.cookie_header = after_release


class KeepsTheSessionWhenAnAnswerIsLost(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        end = lease.end
        lease.end = lambda complete=True: complete and end()


class ClearsTheMarkWhenAnAnswerIsLost(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        lease.doubt = lease.unsent


class KeepsTheMarkOfWhatWasNotSent(_Altered):
    def alter(self, lease: Any, release: Release) -> None:
        lease.unsent = lease.doubt


class LooksTwice(SessionManager):
    """Sends another token than the one with which it saw that requests may overlap."""

    def lease(self, url: str, *args: Any) -> Any:
        lease: Any = super().lease(url, *args)
        if not lease.stamp.exclusive:
            lease._record = self._read()
        return lease


REPLACED, NEEDLESS = "a replaced token was sent", "a login without need|[2-9] logins"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manager", "scene", "what"),
    [
        (IgnoresTheMark, "one dies", REPLACED),
        (DoesNotHold, "both come first", NEEDLESS),
        (LogsInWithoutLooking, "the session was ended", NEEDLESS),
        (ClearsTheWinnersToken, "the session was ended", NEEDLESS),
        (BindsBeforeTheQueue, "two send", REPLACED),
        (DoesNotMark, "one dies", REPLACED),
        (DoesNotStoreTheToken, "two send", REPLACED),
        (SettlesInTwoSteps, "one dies", REPLACED),
        (GivesBackBeforeTheAnswer, "two send", NEEDLESS),
        (KeepsTheSessionWhenAnAnswerIsLost, "an answer is lost", "nobody can go on"),
        (ClearsTheMarkWhenAnAnswerIsLost, "an answer is lost", REPLACED),
        (KeepsTheMarkOfWhatWasNotSent, "an answer is lost", NEEDLESS),
    ],
)
def test_with_a_rule_taken_out_an_order_breaks_it(
    stores: Stores, manager: type[SessionManager], scene: str, what: str
) -> None:
    processes = 2 if "mortal" in SCENES[scene] else 1  # a thread does not die alone
    with pytest.raises(AssertionError, match=what):
        _explore(Cast(stores("memory") * processes, manager=manager, **SCENES[scene]))


@pytest.mark.slow
def test_a_switch_between_two_looks_breaks_it(stores: Stores) -> None:
    with pytest.raises(AssertionError, match=REPLACED):
        _explore(_that_switches(stores, LooksTwice))
