"""A model of a service that replaces its token, and of workers that share one session on it, step by step."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from argosy.contracts import CookieStore
from argosy.cookies.cookie import Cookie
from argosy.cookies.jar import Jar
from argosy.session.keeper import SessionKeeper
from argosy.session.lease import ExclusiveLease
from argosy.session.policy import Policy
from argosy.session.record import SessionRecord, Status

URL = "https://library.example/books/1"
ELSEWHERE = "https://cdn.example/books/1"
HOST = "library.example"
WORKERS = st.integers(0, 2)


class Service:
    """Replaces the token with every accepted request; an old one is refused and, if it revokes, ends the session."""

    def __init__(self, *, revokes: bool) -> None:
        self.revokes = revokes
        self.replaced_sent = 0
        self.logins = 0
        self.reason = (
            True  # whether something has happened that a login is the answer to: at first, there is none
        )
        self.needless_logins = 0
        self._newest: dict[int, int] = {}

    def log_in(self) -> Jar:
        self.logins += 1
        self.needless_logins += not self.reason
        self.reason = False
        self._newest[self.logins] = 1
        return (Cookie("token", f"{self.logins}.1", HOST),)

    def end_all(self) -> None:
        self._newest.clear()

    def is_good(self, token: str) -> bool:
        session, number = map(int, token.split("."))
        return self._newest.get(session) == number

    def is_over(self, token: str) -> bool:
        return int(token.split(".")[0]) not in self._newest

    def receive(self, header: str | None) -> list[str] | None:
        """Return the Set-Cookie headers of the answer; None for a refusal."""
        assert header is not None, "a request without a token"
        token = dict(pair.split("=") for pair in header.split("; "))["token"]
        session, number = map(int, token.split("."))
        newest = self._newest.get(session)
        if newest is None:
            return None
        if number != newest:
            self.replaced_sent += 1
            if self.revokes:
                del self._newest[session]
            return None
        self._newest[session] = number + 1
        return [f"token={session}.{number + 1}; Path=/"]


class Worker:
    """One process: a keeper of its own, and at most one request under way."""

    def __init__(self, keeper: SessionKeeper) -> None:
        self.keeper = keeper
        self.phase = "idle"
        self.lease: Any = None
        self.answer: list[str] | None = None


class LeaseMachine(RuleBasedStateMachine):
    """Interleaves the steps of three workers; subclasses name the store and take rules out."""

    stores: ClassVar[list[CookieStore]]
    revokes: ClassVar[bool] = True
    keeper_class: ClassVar[type[SessionKeeper]] = SessionKeeper
    count: ClassVar[int] = 0

    @initialize()
    def start(self) -> None:
        type(self).count += 1
        self.session = f"session-{self.count}"
        self.service = Service(revokes=self.revokes)
        self.workers = [self._worker(number) for number in range(3)]

    def _worker(self, number: int) -> Worker:
        store = self.stores[number % len(self.stores)]
        policy = Policy(max_logins=10**6)
        return Worker(self.keeper_class(store, self.session, policy, login=self.service.log_in))

    def _is_free(self) -> bool:
        if self.keeper_class is DoesNotHold:
            return True
        release = self.stores[0].acquire(self.session, wait=False)
        if release is not None:
            release()
        return release is not None

    def _at(self, number: int, phase: str) -> Worker | None:
        worker = self.workers[number]
        return worker if worker.phase == phase else None

    def _end(self, worker: Worker, phase: str = "idle", *, complete: bool = True) -> None:
        worker.lease.end(complete=complete)
        worker.phase = phase

    # -- one request, step by step

    @rule(number=WORKERS, steps=st.integers(1, 5))
    def go_on(self, number: int, steps: int) -> None:
        """Let one worker take some steps in their order."""
        for _ in range(steps):
            step = {
                "idle": self._acquire,
                "leased": self._send,
                "sent": self._settle,
                "settled": self._release,
                "refused": self._take_refusal,
            }[self.workers[number].phase]
            step(number)

    def _acquire(self, number: int) -> None:
        if (worker := self._at(number, "idle")) and self._is_free():
            worker.lease, worker.phase = worker.keeper.lease(URL), "leased"

    def _send(self, number: int) -> None:
        if worker := self._at(number, "leased"):
            header = worker.lease.cookie_header(URL)
            worker.answer, worker.phase = self.service.receive(header), "sent"
            note(f"worker {number} sent {header}: {worker.answer}")

    def _settle(self, number: int) -> None:
        if worker := self._at(number, "sent"):
            worker.lease.settle(worker.answer or [], URL, None)
            worker.phase = "settled"

    def _release(self, number: int) -> None:
        if worker := self._at(number, "settled"):
            self._end(worker, "idle" if worker.answer else "refused")

    def _take_refusal(self, number: int) -> None:
        if (worker := self._at(number, "refused")) and self._is_free():
            worker.keeper.refused(worker.lease.stamp)
            worker.phase = "idle"

    # -- what goes wrong

    @rule(number=WORKERS)
    def fail_to_connect(self, number: int) -> None:
        if worker := self._at(number, "leased"):
            worker.lease.unsent()
            self._end(worker, complete=False)

    @rule(number=WORKERS, arrived=st.booleans())
    def lose(self, number: int, arrived: bool) -> None:
        """The request, or its answer, is lost."""
        worker = self._at(number, "leased") if not arrived else self._at(number, "sent")
        if worker:
            self.service.reason = True
            worker.lease.doubt()
            self._end(worker, complete=False)

    @rule(number=WORKERS)
    def crash(self, number: int) -> None:
        """The process dies: its hold is gone, the record stays as it is, and a new one takes its place."""
        worker = self.workers[number]
        if worker.phase in ("leased", "sent", "settled"):
            self.service.reason |= worker.phase != "settled"
            worker.lease.end(complete=False)
        self.workers[number] = self._worker(number)

    @rule()
    @precondition(lambda self: self.service.logins)
    def expire(self) -> None:
        self.service.reason = True
        self.service.end_all()

    @rule(number=WORKERS)
    def log_in(self, number: int) -> None:
        if self._is_free():
            self.service.reason = True
            self.workers[number].keeper.login()

    @rule(number=WORKERS, value=st.integers(0, 3))
    def fetch_elsewhere(self, number: int, value: int) -> None:
        """A request to another host, without a token, brings a cookie at any time."""
        if self._is_free() or self.service.logins:
            keeper = self.workers[number].keeper
            if keeper._overlaps(ELSEWHERE):
                lease = keeper.lease(ELSEWHERE)
                lease.settle([f"cdn{value}=1; Path=/"], ELSEWHERE, None)
                lease.end()

    # -- what must hold

    @invariant()
    def no_replaced_token_is_ever_sent(self) -> None:
        if hasattr(self, "service"):
            assert self.service.replaced_sent == 0, "a replaced token was sent"

    @invariant()
    def nobody_logs_in_without_a_reason(self) -> None:
        if hasattr(self, "service"):
            assert self.service.needless_logins == 0, "a login without a reason"

    @invariant()
    def an_idle_record_has_the_newest_token(self) -> None:
        record = self.stores[0].read(self.session) if hasattr(self, "session") else None
        if record is not None and record.status is Status.IDLE:
            (token,) = [cookie.value for cookie in record.cookies if cookie.name == "token"]
            assert self.service.is_good(token) or self.service.is_over(token), (
                "an idle token is not the newest"
            )

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        for worker in self.workers:
            if worker.phase in ("leased", "sent", "settled"):
                worker.lease.end(complete=False)
        try:
            self._can_go_on()
        finally:
            self.stores[0].remove(self.session)

    def _can_go_on(self) -> None:
        worker = self._worker(0)
        for _ in range(3):
            lease = worker.keeper.lease(URL)
            answer = self.service.receive(lease.cookie_header(URL))
            lease.settle(answer or [], URL, None)
            lease.end()
            if answer is not None:
                return
            worker.keeper.refused(lease.stamp)
        raise AssertionError("nothing is accepted any more")


# -- keepers with a rule taken out


class IgnoresTheMark(SessionKeeper):
    """Takes the token of a session in doubt for good."""

    def _in_doubt(self, record: SessionRecord) -> bool:
        return False


class _UnmarkedLease(ExclusiveLease):
    def __init__(self, store: CookieStore, record: SessionRecord, release: Any) -> None:
        super().__init__(store, record, release)
        super().unsent()


class DoesNotMark(SessionKeeper):
    """Sends without a mark in the record."""

    def _exclusive(self, release: Any) -> Any:
        return _UnmarkedLease(self.store, self._read(), release)


class _ForgetfulLease(ExclusiveLease):
    def settle(self, headers: Any, url: str, date: str | None) -> None:
        super().settle([], url, date)


class DoesNotCommit(SessionKeeper):
    """Clears the mark without storing the new token."""

    def _exclusive(self, release: Any) -> Any:
        return _ForgetfulLease(self.store, self._read(), release)


class DoesNotHold(SessionKeeper):
    """Goes ahead whether the session is taken or not."""

    def _acquire(self) -> Any:
        return lambda: None


class _ReleasesEarly(ExclusiveLease):
    def cookie_header(self, url: str) -> str | None:
        self._release()
        return super().cookie_header(url)


class DoesNotHoldToTheHeaders(SessionKeeper):
    """Gives the session back before the answer is in."""

    def _exclusive(self, release: Any) -> Any:
        return _ReleasesEarly(self.store, self._read(), release)


class ClearsTheMarkAfterALostAnswer(SessionKeeper):
    """Takes a request whose answer was lost for one that was never sent."""

    def _exclusive(self, release: Any) -> Any:
        lease = super()._exclusive(release)
        lease.doubt = lease.unsent  # type: ignore[method-assign]  # the rule that is taken out
        return lease
