"""The lease as a state machine for Hypothesis: steps of three programs in any order, with crashes and lost answers.

It needs hypothesis: ``pip install 'argosy[test]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from argosy.cookies.jar import concerns
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import SessionRecord, Status
from lease_suite.service import ELSEWHERE, URL, Answer, CarrierService, Died, TapedStore, is_free

#: Nothing is kept between runs, and no limit depends on the machine's speed.
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)

_PROGRAMS = st.integers(0, 2)


def run_lease_machine(
    stores: list[CookieStore],
    *,
    examples: int = 40,
    revokes: bool = True,
    lease_mode: LeaseMode = LeaseMode.EXCLUSIVE,
    carrier: str = "cookies",
    manager_class: type[SessionManager] = SessionManager,
    **options: Any,
) -> int:
    """Run the machine on a store.

    Parameters
    ----------
    stores
        One store, or several objects on the same sessions, as programs of their own have.
    examples
        How many sequences of steps.
    revokes
        Whether an old token ends the session at the service.
    lease_mode
        ``exclusive``, or ``exclusive-to-end`` at a service that replaces the token with the end of the body.
    carrier
        Where the tokens are, as for `CarrierService`.
    manager_class
        The manager that is tried.
    options
        More settings of Hypothesis.

    Returns
    -------
    int
        How many sequences were run.

    Raises
    ------
    AssertionError
        If a rule is broken, with the shortest sequence that was found.
    """
    fields = {
        "stores": stores,
        "revokes": revokes,
        "lease_mode": lease_mode,
        "carrier": carrier,
        "manager_class": manager_class,
        "count": 0,
    }
    machine: type[LeaseMachine] = type("Machine", (LeaseMachine,), fields)
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=examples, **options))
    return machine.count


class Program:
    """One program: a session manager on a store of its own, and at most one request under way."""

    def __init__(self, store: TapedStore, manager: SessionManager) -> None:
        self.store = store
        self.manager = manager
        self.phase = "idle"
        self.lease: Any = None
        self.answer: Answer | None = None


class LeaseMachine(RuleBasedStateMachine):
    """Interleaves the steps of three programs, and lets go wrong whatever may; `run_lease_machine` fills it in."""

    stores: ClassVar[list[CookieStore]]
    revokes: ClassVar[bool]
    lease_mode: ClassVar[LeaseMode]
    carrier: ClassVar[str]
    manager_class: ClassVar[type[SessionManager]]
    count: ClassVar[int] = 0

    @initialize(crashes=st.booleans())
    def start(self, crashes: bool) -> None:
        """Begin with an unused session; without crashes, other events have room to happen."""
        self.crashes = crashes
        type(self).count += 1
        self.session = f"session-{self.count}"
        self.to_end = self.lease_mode is LeaseMode.EXCLUSIVE_TO_END
        self.service = CarrierService(self.carrier, revokes=self.revokes, at_end=self.to_end)
        self.late: list[Mapping[str, str]] = []
        self.programs = [self._program(number) for number in range(3)]

    def _program(self, number: int) -> Program:
        store = TapedStore(self.stores[number % len(self.stores)])
        store.on_write = self._look_at
        policy = Policy(self.lease_mode, max_logins=10**6, carriers=self.service.carriers)
        manager = self.manager_class(store, self.session, policy, login=self.service.authority)
        return Program(store, manager)

    def _at(self, number: int, phase: str) -> Program | None:
        program = self.programs[number]
        return program if program.phase == phase else None

    def _try(self, number: int, step: Callable[[], object], *, in_doubt: bool) -> bool:
        """Do a step; where the program dies in it, another one takes its place. Return whether it lives."""
        program = self.programs[number]
        logins = self.service.logins
        try:
            step()
        except Died:
            # a session that could not be stored is a reason to log in again; so is a token that may be spent
            self.service.reason |= in_doubt or self.service.logins > logins or self._is_marked()
            note(f"program {number} died in {program.phase}")
            self.programs[number] = self._program(number)
            return False
        return True

    def _is_marked(self) -> bool:
        record = self.stores[0].read(self.session)
        return record is not None and record.status is Status.IN_FLIGHT

    def _is_free(self) -> bool:
        return is_free(self.stores[0], self.session) or not self._waits()

    def _waits(self) -> bool:
        """Return whether a session manager waits for a session that is held; one with that rule taken out does not."""
        return self.manager_class._acquire is SessionManager._acquire

    # -- one request, step by step

    @rule(number=_PROGRAMS, steps=st.integers(1, 5))
    def go_on(self, number: int, steps: int) -> None:
        """Let one program take some steps in their order."""
        for _ in range(steps):
            self._step(number)

    def _step(self, number: int) -> None:
        step = {
            "idle": self._acquire,
            "leased": self._send,
            "sent": self._settle,
            "settled": self._release,
            "refused": self._take_refusal,
        }[self.programs[number].phase]
        step(number)

    def _acquire(self, number: int) -> None:
        program = self._at(number, "idle")
        if program is None or not self._is_free():
            return

        def take() -> None:
            program.lease = program.manager.lease(URL)

        if self._try(number, take, in_doubt=False):
            program.phase = "leased"

    def _send(self, number: int) -> None:
        if program := self._at(number, "leased"):
            credentials = program.lease.credentials(URL)
            program.answer, program.phase = self.service.take(credentials), "sent"
            note(f"program {number} sent {credentials}: {program.answer}")

    def _settle(self, number: int) -> None:
        program = self._at(number, "sent")
        if program is None:
            return
        answer = program.answer or Answer()
        if self._try(number, lambda: program.lease.settle(answer.cookies, URL, None, answer.fields), in_doubt=False):
            program.phase = "settled"

    def _release(self, number: int) -> None:
        if program := self._at(number, "settled"):
            self.service.finish()

            def finish() -> None:
                if program.answer is not None and program.answer.body:
                    program.lease.settle_body(program.answer.body, URL)
                program.lease.end()

            if self._try(number, finish, in_doubt=False):
                program.phase = "idle" if program.answer else "refused"

    def _take_refusal(self, number: int) -> None:
        program = self._at(number, "refused")
        if (
            program
            and self._is_free()
            and self._try(number, lambda: program.manager.refused(program.lease.stamp), in_doubt=False)
        ):
            program.phase = "idle"

    # -- what goes wrong

    @rule(number=_PROGRAMS)
    def fail_to_connect(self, number: int) -> None:
        """Not a byte goes out."""
        if program := self._at(number, "leased"):

            def give_up() -> None:
                program.lease.unsent()
                program.lease.end(complete=False)

            if self._try(number, give_up, in_doubt=False):
                program.phase = "idle"

    @rule(number=_PROGRAMS, arrived=st.booleans())
    def lose(self, number: int, arrived: bool) -> None:
        """Lose the request, or its answer; a lost request may yet arrive, long after."""
        program = self._at(number, "sent" if arrived else "leased")
        if program:
            if not arrived:
                self.late.append(program.lease.credentials(URL))
            self.service.reason = True

            def give_up() -> None:
                program.lease.doubt()
                program.lease.end(complete=False)

            if self._try(number, give_up, in_doubt=True):
                program.phase = "idle"

    @rule(number=_PROGRAMS)
    def cut_the_body(self, number: int) -> None:
        """Cut the body: if its end makes the token good, the good token is unknown."""
        if self.to_end and (program := self._at(number, "settled")):
            self.service.reason = True
            if self._try(number, lambda: program.lease.end(complete=False), in_doubt=True):
                program.phase = "idle"

    @rule(number=_PROGRAMS)
    @precondition(lambda self: self.crashes)
    def crash(self, number: int) -> None:
        """Kill the process: its hold is free, the record stays as it is, and nothing of its code runs any more."""
        program = self.programs[number]
        self.service.reason |= program.phase in ("leased", "sent") or (self.to_end and program.phase == "settled")
        program.store.die()
        self.programs[number] = self._program(number)

    @rule(number=_PROGRAMS)
    @precondition(lambda self: self.crashes)
    def crash_while_the_body_comes(self, number: int) -> None:
        """Kill the process when its headers are in: all that it owed anybody is in the store."""
        for _ in range(4):
            if self.programs[number].phase != "settled":
                self._step(number)
        if self.programs[number].phase == "settled":
            self.crash(number)

    @rule(number=_PROGRAMS)
    @precondition(lambda self: self.crashes)
    def lapse(self, number: int) -> None:
        """Free the program's hold while it goes on: its lock file was removed, or its time was over."""
        program = self.programs[number]
        if program.phase in ("leased", "sent", "settled"):
            self.service.reason = True
            program.store.lapse()

    @rule(number=_PROGRAMS, writes=st.integers(0, 2), before=st.booleans())
    @precondition(lambda self: self.crashes)
    def crash_while_writing(self, number: int, writes: int, before: bool) -> None:
        """Kill the process in one of its next writes, right before the record is replaced or right after."""
        store = self.programs[number].store
        store.dies_in, store.dies_before = writes, before

    @rule()
    @precondition(lambda self: self.late)
    def arrive_late(self) -> None:
        """Let a request that was given up reach the service after all; its answer goes nowhere."""
        before = self.service.replaced_sent
        self.service.take(self.late.pop(0))
        self.service.replaced_sent = before  # it was sent when its token was the newest

    @rule()
    @precondition(lambda self: self.service.logins)
    def expire(self) -> None:
        """End all sessions at the service."""
        self.service.end_all()

    @rule(order=st.permutations(range(3)))
    @precondition(lambda self: self.service.logins)
    def refuse_all(self, order: list[int]) -> None:
        """End all sessions, and let the programs find out before one of them does anything about it."""
        self.service.end_all()
        for number in order:
            for _ in range(4):
                if self.programs[number].phase != "refused":
                    self._step(number)

    @rule(number=_PROGRAMS)
    def log_in(self, number: int) -> None:
        """Make a new session because a person asks for it."""
        if self._is_free():
            self.service.reason = True
            self._try(number, self.programs[number].manager.login, in_doubt=True)

    @rule(number=_PROGRAMS, value=st.integers(0, 3))
    def fetch_elsewhere(self, number: int, value: int) -> None:
        """Send a request without a token to another host, which brings a cookie."""
        if not self.service.logins:
            return
        manager = self.programs[number].manager
        record = self.stores[0].read(self.session)
        # with a cookie of that host there is something to hold the session for
        if self._is_free() or (record is not None and not concerns(record.cookies, ELSEWHERE)):

            def fetch() -> None:
                lease = manager.lease(ELSEWHERE)
                lease.settle([f"cdn{value}=1; Path=/"], ELSEWHERE, None)
                lease.end()

            self._try(number, fetch, in_doubt=False)

    # -- what must hold

    @invariant()
    def no_replaced_token_is_ever_sent(self) -> None:
        """Check the promise of the whole project."""
        if hasattr(self, "service"):
            assert self.service.replaced_sent == 0, "a replaced token was sent"

    @invariant()
    def nobody_logs_in_without_a_reason(self) -> None:
        """Check that no login is wasted: creating sessions is a quota of its own."""
        if hasattr(self, "service"):
            assert self.service.needless_logins == 0, "a login without a reason"

    def _look_at(self, record: SessionRecord) -> None:
        """Check each record when it is written: a sender that finds it idle sends its token."""
        if record.status is Status.IDLE and record.logins:
            tokens = self.service.tokens_of(record)
            assert tokens, "an idle session has no token"
            good = [self.service.is_good(token) or self.service.is_over(token) for token in tokens]
            assert all(good), "an idle token is not the newest"

    def teardown(self) -> None:
        """Whatever has happened, the session can be used again."""
        if not hasattr(self, "session"):
            return
        for program in self.programs:
            self.service.reason |= program.phase != "idle"
            program.store.die()
        try:
            self._can_go_on()
        finally:
            self.stores[0].remove(self.session)

    def _can_go_on(self) -> None:
        manager = self._program(0).manager
        for _ in range(3):
            lease = manager.lease(URL)
            answer = self.service.take(lease.credentials(URL))
            brought = answer or Answer()
            lease.settle(brought.cookies, URL, None, brought.fields)
            self.service.finish()
            lease.settle_body(brought.body, URL)
            lease.end()
            if answer is not None:
                return
            manager.refused(lease.stamp)
        raise AssertionError("nothing is accepted any more")
