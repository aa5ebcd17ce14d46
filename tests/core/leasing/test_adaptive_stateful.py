"""The switch between shared and exclusive, step by step, on services that change their mind.

Three workers share one session by the lease that is chosen by watching. The service replaces no token, every
k-th one, or each, and begins with that whenever it likes. With any rule of the switch taken out, that is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from argosy.cookies import jar
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing import adaptive as auto
from argosy.leasing.lease import Lease
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy, Tokens
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore

URL = "https://library.example/books/1"
HOST = "library.example"
WORKERS = st.integers(0, 2)
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)


class Service:
    """One account. `every` says how many requests a token lasts (0: for ever)."""

    def __init__(self, *, revokes: bool, strangers: bool) -> None:
        self.revokes = revokes
        self.strangers = strangers
        self.every = 0
        self.logins = 0
        self.reason = True  # whether something has happened that a login is the answer to: at first, there is none
        self.needless_logins = 0
        self.newest: dict[int, int] = {}
        self._requests = 0

    def log_in(self) -> jar.Jar:
        self.logins += 1
        self.needless_logins += not self.reason
        self.reason = False
        self.newest[self.logins] = 1
        return (Cookie("token", f"{self.logins}.1", HOST),)

    def state(self, token: str) -> str:
        """Return whether a token is ``good``, was ``replaced``, or is of no session that lives."""
        session, _, number = token.partition(".")
        newest = self.newest.get(int(session)) if session.isdigit() else None
        if newest is None:
            return "over"
        return "good" if int(number) == newest else "replaced"

    def receive(self, token: str) -> tuple[bool, list[str]]:
        """Return whether a request is accepted, and the Set-Cookie headers of its answer."""
        state = self.state(token)
        if state != "good":
            if state == "replaced" and self.revokes:
                del self.newest[int(token.split(".")[0])]
            self._requests += 1
            return False, [f"token=stranger{self._requests}; Path=/"] if self.strangers else []
        session, number = map(int, token.split("."))
        self._requests += 1
        if not self.every or self._requests % self.every:
            return True, []
        self.newest[session] = number + 1
        return True, [f"token={session}.{number + 1}; Path=/"]


class Worker:
    """One process: a session manager of its own, and at most one request under way."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager = manager
        self.phase = "idle"
        self.lease: Any = None
        self.token = ""
        self.knew = False
        self.accepted = False
        self.headers: list[str] = []
        self.again = False

    @property
    def brings_a_token(self) -> bool:
        return self.phase == "sent" and self.accepted and bool(self.headers)


class AutoMachine(RuleBasedStateMachine):
    """Interleaves the steps of three workers; subclasses name the store, the service, and take rules out."""

    stores: ClassVar[list[CookieStore]]
    revokes: ClassVar[bool] = False
    strangers: ClassVar[bool] = False
    manager_class: ClassVar[type[SessionManager]] = SessionManager
    count: ClassVar[int] = 0

    @initialize()
    def start(self) -> None:
        type(self).count += 1
        self.session = f"session-{self.count}"
        self.service = Service(revokes=self.revokes, strangers=self.strangers)
        self.workers = [self._worker(number) for number in range(3)]
        self.seen = 0  # the login under which an answer that replaced the token was stored
        self.proved = False  # and whether such an answer was found to be to an accepted request
        self.unknown = 0  # the login whose newest token is unknown

    def _worker(self, number: int) -> Worker:
        store = self.stores[number % len(self.stores)]
        policy = Policy(LeaseMode.AUTO, max_logins=10**6)
        return Worker(self.manager_class(store, self.session, policy, login=self.service.log_in))

    def _record(self) -> SessionRecord:
        return self.stores[0].read(self.session) or SessionRecord(self.session)

    def _is_free(self) -> bool:
        release = self.stores[0].acquire(self.session, wait=False)
        if release is not None:
            release()
        return release is not None

    def _lost(self) -> None:
        """The newest token can not be known any more: a login is allowed for that."""
        if self.unknown != self.service.logins:
            self.unknown = self.service.logins
            self.service.reason = True

    # -- one request, step by step

    @rule(number=WORKERS, steps=st.integers(1, 6))
    def go_on(self, number: int, steps: int) -> None:
        for _ in range(steps):
            worker = self.workers[number]
            getattr(self, f"_{worker.phase}")(worker)

    def _idle(self, worker: Worker) -> None:
        if self._is_free() or worker.manager._overlaps(URL):
            before = self._record()
            worker.lease = worker.manager.lease(URL)
            if not worker.lease.stamp.exclusive and before.learned == self._record().learned:
                assert self._record().generation == before.generation, "a shared lease was written"
            worker.knew = self.proved or (self.seen == self.service.logins)
            worker.phase = "leased"

    def _leased(self, worker: Worker) -> None:
        header = worker.lease.cookie_header(URL)
        assert header is not None
        worker.token = header.removeprefix("token=")
        if self.service.state(worker.token) == "replaced":
            assert not worker.lease.stamp.exclusive, "an exclusive lease sent a replaced token"
            assert not worker.knew, "a replaced token was sent after the switch"
            if self.revokes:
                self._lost()
        worker.accepted, worker.headers = self.service.receive(worker.token)
        note(f"{worker.token} {'accepted' if worker.accepted else 'refused'}: {worker.headers}")
        worker.phase = "sent"

    def _sent(self, worker: Worker) -> None:
        before = self._record()
        worker.lease.settle(worker.headers, URL, None)
        worker.phase = "settled"
        record = self._record()
        if not worker.headers and not worker.lease.stamp.exclusive:
            assert record.generation == before.generation, "a shared answer without a token was written"
        if record.logins != worker.lease.stamp.logins:
            return  # it is of a session before the newest login
        if worker.accepted and worker.headers:
            self.seen = self.service.logins
        if self.service.logins in self.service.newest and record.cookies[0].value.startswith("stranger"):
            was_good = self.service.state(before.cookies[0].value) == "good"
            assert not was_good, "the loser has cleared the winner's token: not the newest"
            self._lost()  # it was faster than the answer with the new token: what the switch may cost

    def _settled(self, worker: Worker) -> None:
        worker.lease.end()
        worker.phase = "judged"

    def _judged(self, worker: Worker) -> None:
        if worker.accepted:
            self.proved |= bool(worker.headers)
            worker.manager.accepted(worker.lease.stamp)
            worker.again = False
        elif self._is_free():
            if any(other.brings_a_token for other in self.workers):
                self._lost()  # another process is refused before our answer is in: what the switch may cost
            worker.manager.refused(worker.lease.stamp, again=worker.again)
            worker.again = True
        else:
            return
        worker.phase = "idle"

    @rule(number=WORKERS)
    def share(self, number: int) -> None:
        """Let one worker learn that nothing is replaced, as long as nothing is."""
        self.service.every = 0
        for _ in range(3 * 5):
            worker = self.workers[number]
            getattr(self, f"_{worker.phase}")(worker)

    @rule(sent=st.permutations(range(3)), settled=st.permutations(range(3)), every=st.integers(0, 2))
    def overlap(self, sent: list[int], settled: list[int], every: int) -> None:
        """Let all have their leases before any of them sends, and the answers come in any order."""
        for steps, order in (("idle", sent), ("leased", sent), ("sent", settled)):
            self.service.every = every if steps == "leased" else self.service.every
            for worker in (self.workers[number] for number in order):
                if worker.phase == steps:
                    getattr(self, f"_{worker.phase}")(worker)

    # -- what happens meanwhile

    @rule(every=st.integers(0, 2))
    def the_service_changes_its_mind(self, every: int) -> None:
        self.service.every = every

    @rule()
    def expire(self) -> None:
        if self.service.newest:
            self.service.reason = True
            self.service.newest.clear()

    @rule(number=WORKERS)
    def log_in(self, number: int) -> None:
        if self._is_free():
            self.service.reason = True
            self.workers[number].manager.login()

    @rule(number=WORKERS, arrived=st.booleans())
    def lose(self, number: int, arrived: bool) -> None:
        """The request, or its answer, is lost."""
        worker = self.workers[number]
        if worker.phase != ("sent" if arrived else "leased"):
            return
        if worker.lease.stamp.exclusive:
            self.service.reason = True  # it is in doubt
        elif worker.brings_a_token and worker.lease.stamp.logins == self.service.logins:
            self._lost()
        worker.lease.doubt()
        worker.lease.end(complete=False)
        worker.phase = "idle"

    # -- what must hold

    @invariant()
    def the_newest_token_wins(self) -> None:
        record = self._record() if hasattr(self, "session") else SessionRecord("")
        if record.status is not Status.IDLE or not record.cookies or self.unknown == record.logins:
            return
        if any(worker.brings_a_token for worker in self.workers):
            return  # it is on its way
        state = self.service.state(record.cookies[0].value)
        alive = self.service.logins in self.service.newest
        assert state == "good" or not alive, f"the token in the store is {state}: not the newest"

    @invariant()
    def nobody_logs_in_without_a_reason(self) -> None:
        if hasattr(self, "session"):
            assert self.service.needless_logins == 0, "a login without a reason"

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        for worker in self.workers:
            if worker.phase in ("leased", "sent", "settled"):
                worker.lease.end(complete=False)
        try:
            self._nothing_is_lost()
        finally:
            self.stores[0].remove(self.session)

    def _nothing_is_lost(self) -> None:
        """One more request gets through, as a worker sends it: again after a refusal."""
        worker = self._worker(0)
        for refusals in range(4):
            lease = worker.manager.lease(URL)
            header = lease.cookie_header(URL)
            assert header is not None
            accepted, headers = self.service.receive(header.removeprefix("token="))
            lease.settle(headers, URL, None)
            lease.end()
            if accepted:
                return
            worker.manager.refused(lease.stamp, again=refusals > 0)
        raise AssertionError("nothing is accepted any more")


# -- managers with a rule of the switch taken out


class NeverSwitchesBack(SessionManager):
    """Goes on sharing where tokens are replaced."""

    def _is_shared(self, record: SessionRecord) -> bool:
        return bool(record.learned)


class ForgetsAtLogin(SessionManager):
    """Begins to share again after a login, whatever was proved."""

    def _log_in(self, record: SessionRecord, reason: str, *, forget: bool = False) -> None:
        super()._log_in(record, reason, forget=forget)
        self._write(self._read(), lambda learned: {"lease": "shared"} if learned else {})


class _BlindTokens(Tokens):
    def merge(self, newest: jar.Jar, before: jar.Jar, after: jar.Jar) -> jar.Jar:
        return after


class TheLastOneWins(SessionManager):
    """Stores what a late answer brings over what an earlier one has brought."""

    def __init__(self, store: CookieStore, session: str, policy: Policy, **options: Any) -> None:
        super().__init__(store, session, policy, **options)
        self.policy = replace(self.policy, tokens=_BlindTokens())


class LogsInAtOnce(SessionManager):
    """Does not look whether there is a newer token."""

    def refused(self, stamp: Any, *, again: bool = False) -> None:
        super().refused(stamp, again=True)


class MarksWhatOverlaps(SessionManager):
    """Writes the store for each shared request."""

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Lease:
        lease = super().lease(url, admit)
        if not lease.stamp.exclusive:
            self._write(self._read())
        return lease


@pytest.fixture(autouse=True)
def _learns_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "QUIET", 2)


def _machine(stores: list[CookieStore], **fields: Any) -> type[AutoMachine]:
    return type("Machine", (AutoMachine,), {"stores": stores, "count": 0, **fields})


def _stores(name: str, folder: Path) -> list[CookieStore]:
    """Return what the workers use: threads share an object, processes open one file."""
    context = PluginContext(base=folder, directory=folder)
    if name == "memory":
        return [MemoryStore({}, context)]
    return [JsonFileStore({}, context) for _ in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(("store", "examples"), [("memory", 100), ("json-file", 20)])
@pytest.mark.parametrize("strangers", [False, True], ids=["plain", "strangers"])
@pytest.mark.parametrize("revokes", [False, True], ids=["strict", "revoke"])
def test_after_the_switch_no_replaced_token_is_sent(
    tmp_path: Path, store: str, examples: int, revokes: bool, strangers: bool
) -> None:
    machine = _machine(_stores(store, tmp_path), revokes=revokes, strangers=strangers)
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=examples))
    assert machine.count >= examples


@pytest.mark.slow
@pytest.mark.parametrize(
    ("manager", "seen"),
    [
        (NeverSwitchesBack, "after the switch|a login without a reason"),  # whichever comes up first
        (ForgetsAtLogin, "after the switch"),
        (TheLastOneWins, "not the newest"),
        (LogsInAtOnce, "a login without a reason"),
        (MarksWhatOverlaps, "was written"),
    ],
)
def test_with_a_rule_taken_out_it_is_seen(tmp_path: Path, manager: type[SessionManager], seen: str) -> None:
    strangers = manager is TheLastOneWins
    machine = _machine(_stores("memory", tmp_path), manager_class=manager, strangers=strangers)
    quick = settings(SETTINGS, max_examples=400, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=seen):
        run_state_machine_as_test(machine, settings=quick)
