"""Sessions and their tokens: what is good, what was good, and what never was."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from argosy_devkit.server.counters import Counters
from argosy_devkit.settings import LeaseMode, ServerSettings

#: The disciplines under which every accepted request replaces the token.
_EVERY_RESPONSE = frozenset(
    {LeaseMode.STRICT, LeaseMode.REVOKE, LeaseMode.GRACE, LeaseMode.SOFT, LeaseMode.REDIRECT}
)


@dataclass(slots=True)
class Session:
    """One logged-in session.

    Parameters
    ----------
    id
        Its name, part of its tokens.
    login
        The number of the login that made it, from 1.
    number
        The number of its valid token.
    issued
        The highest number given out; above `number` where a token becomes valid with the body's end.
    responses
        How many requests were accepted.
    replaced_at
        When a token was replaced (monotonic seconds), by its number, as long as grace may need it.
    ended
        Whether it is over.
    """

    id: str
    login: int
    number: int = 1
    issued: int = 1
    responses: int = 0
    replaced_at: dict[int, float] = field(default_factory=dict)
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """What the server makes of the tokens of a request.

    Parameters
    ----------
    session
        The session they belong to, where they were ever good.
    accepted
        Whether the request is let in.
    carried
        Whether it carried a token at all.
    replaced
        Whether its token had been good and was replaced.
    """

    session: Session | None = None
    accepted: bool = False
    carried: bool = True
    replaced: bool = False


class Sessions:
    """All sessions of the one account.

    A token says which session it is of and its number, and is signed. So the server knows every token
    it ever gave out, and needs no memory for it.

    Parameters
    ----------
    settings
        The server's; it may be replaced while it runs.
    counters
        Where rotations and revocations are counted.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, settings: ServerSettings, counters: Counters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self._counters = counters
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._sessions: dict[str, Session] = {}

    def login(self) -> Session | None:
        """Return a new session; None where there are too many and that is the answer to it."""
        living = [session for session in self._sessions.values() if not session.ended]
        if self.settings.max_sessions and len(living) >= self.settings.max_sessions:
            if self.settings.on_too_many == "refuse":
                return None
            living[0].ended = True
        session = Session(secrets.token_hex(6), len(self._sessions) + 1)
        self._sessions[session.id] = session
        return session

    def end(self, login: int | None) -> None:
        """End the session of one login, or all of them."""
        for session in self._sessions.values():
            session.ended = session.ended or login in (None, session.login)

    def check(self, cookies: Mapping[str, str]) -> Pass:
        """Say whether a request with these cookies is let in. An old token may end its session here."""
        tokens = [cookies.get(name, "") for name in self.settings.cookie_names]
        if not any(tokens):
            return Pass(carried=False)
        read = [self._read(place, token) for place, token in enumerate(tokens)]
        known = [entry for entry in read if entry is not None]
        if len(known) < len(tokens) or len({session.id for session, _ in known}) > 1:
            return Pass(replaced=any(number < session.number for session, number in known))
        session = known[0][0]
        numbers = {number for _, number in known}
        replaced = min(numbers) < session.number
        good = len(numbers) == 1 and not session.ended
        if good and replaced:
            good = self._old_is_good(session, min(numbers))
        elif max(numbers) > session.number:
            good = False  # given out, but the body that brings it has not been sent
        return Pass(session, good, replaced=replaced)

    def _old_is_good(self, session: Session, number: int) -> bool:
        if self.settings.discipline == LeaseMode.REVOKE:
            session.ended = True
            self._counters.sessions_revoked += 1
        if self.settings.discipline != LeaseMode.GRACE:
            return False
        replaced_at = session.replaced_at.get(number)
        return replaced_at is not None and self._clock() - replaced_at <= self.settings.grace

    def rotate(self, session: Session, *, old: bool) -> tuple[list[str], Callable[[], None]]:
        """Give out what an accepted request brings the session.

        Parameters
        ----------
        session
            Whose request it is.
        old
            Whether it came with an old token (which was still good).

        Returns
        -------
        tuple
            The values for ``Set-Cookie``, and what is to be called when they become valid.
        """
        session.responses += 1
        discipline = self.settings.discipline
        slides = discipline == LeaseMode.SLIDE and session.responses % self.settings.slide_every == 0
        if old:
            return self.set_cookies(session, session.number), lambda: None
        if discipline not in _EVERY_RESPONSE and not slides:
            return [], lambda: None
        session.issued += 1
        number = session.issued
        return self.set_cookies(session, number), lambda: self._commit(session, number)

    def _commit(self, session: Session, number: int) -> None:
        if number <= session.number:
            return  # a later one became valid before it
        now = self._clock()
        if self.settings.discipline == LeaseMode.GRACE:
            kept = {n: at for n, at in session.replaced_at.items() if now - at <= self.settings.grace}
            session.replaced_at = kept | {session.number: now}
        session.number = number
        self._counters.rotations += 1

    def set_cookies(self, session: Session, number: int | None = None) -> list[str]:
        """Return the values for ``Set-Cookie`` that bring a session's token (its valid one by default)."""
        number = session.number if number is None else number
        return [
            f"{name}={self._token(place, session.id, number)}{self.settings.cookie_attributes}"
            for place, name in enumerate(self.settings.cookie_names)
        ]

    def _token(self, place: int, session: str, number: int) -> str:
        text = f"{session}.{number}"
        return f"{text}.{self.sign(f'{place} {text}')}"

    def _read(self, place: int, token: str) -> tuple[Session, int] | None:
        name, _, rest = token.partition(".")
        number, _, _ = rest.partition(".")
        session = self._sessions.get(name)
        if session is None or not number.isdecimal():
            return None
        if not secrets.compare_digest(token.encode(), self._token(place, name, int(number)).encode()):
            return None
        return session, int(number)

    def sign(self, text: str) -> str:
        """Return a signature that only this process can make."""
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=12).hexdigest()
