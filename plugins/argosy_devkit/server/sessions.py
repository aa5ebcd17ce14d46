"""Sessions and their tokens: valid, replaced and unknown ones."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from argosy_devkit.server.counters import Counters
from argosy_devkit.settings import LeaseMode, ServerSettings, TokenCarrier

#: The token modes in which every accepted request replaces the token.
_EVERY_RESPONSE = frozenset({LeaseMode.STRICT, LeaseMode.REVOKE, LeaseMode.GRACE, LeaseMode.SOFT, LeaseMode.REDIRECT})


@dataclass(slots=True)
class Session:
    """A logged-in session.

    `number` is that of its valid token, and `issued` the highest sent, which is larger while a token becomes valid with the
    end of a body. `replaced_at` has the time (monotonic seconds) when each token was replaced, as long as grace needs it.
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
    """The verdict on the tokens of a request: their session, whether it is accepted, carried a token, and a replaced one."""

    session: Session | None = None
    accepted: bool = False
    carried: bool = True
    replaced: bool = False


class Sessions:
    """All sessions of the account.

    A token contains its session and number, and a signature, so the server recognizes every token it has issued without
    storing them.
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
        """Return a new session, or None if the limit refuses it."""
        living = [session for session in self._sessions.values() if not session.ended]
        if self.settings.max_sessions and len(living) >= self.settings.max_sessions:
            if self.settings.on_too_many == "refuse":
                return None
            living[0].ended = True
        session = Session(secrets.token_hex(6), len(self._sessions) + 1)
        self._sessions[session.id] = session
        return session

    def end(self, login: int | None) -> None:
        """End the session of a login, or all of them."""
        for session in self._sessions.values():
            session.ended = session.ended or login in (None, session.login)

    def check(self, tokens: Sequence[str]) -> Pass:
        """Judge a request with these tokens, an empty text for a missing one; an old token may end its session."""
        if not any(tokens):
            return Pass(carried=False)
        if self.settings.carrier == TokenCarrier.NONCE:
            self._open(tokens[0])
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
            good = False  # issued, but the body that makes it valid was not sent completely
        return Pass(session, good, replaced=replaced)

    def _old_is_good(self, session: Session, number: int) -> bool:
        if self.settings.lease_mode == LeaseMode.REVOKE:
            session.ended = True
            self._counters.sessions_revoked += 1
        if self.settings.lease_mode != LeaseMode.GRACE:
            return False
        replaced_at = session.replaced_at.get(number)
        return replaced_at is not None and self._clock() - replaced_at <= self.settings.grace

    def nonce(self) -> str:
        """Return a nonce for a challenge: the first token of a session that begins with it."""
        return self._token(0, secrets.token_hex(6), 1)

    def _open(self, nonce: str) -> None:
        """Begin the session of a request that answers a challenge."""
        name, number, _ = (*nonce.split("."), "", "")[:3]
        is_first = name not in self._sessions and number == "1"
        if is_first and secrets.compare_digest(nonce.encode(), self._token(0, name, 1).encode()):
            self._sessions[name] = Session(name, len(self._sessions) + 1)
            self._counters.logins += 1

    def rotate(self, session: Session, *, old: bool) -> tuple[list[str], Callable[[], None]]:
        """Issue a token for an accepted request; `old` if it came with an old, still accepted token.

        Returns the tokens by their places, none if the old ones stay, and a function to call when they become valid.
        """
        session.responses += 1
        lease_mode = self.settings.lease_mode
        slides = lease_mode == LeaseMode.SLIDE and session.responses % self.settings.slide_every == 0
        if old:
            return self.tokens(session), lambda: None
        if lease_mode not in _EVERY_RESPONSE and not slides:
            return [], lambda: None
        session.issued += 1
        number = session.issued
        return self.tokens(session, number), lambda: self._commit(session, number)

    def _commit(self, session: Session, number: int) -> None:
        if number <= session.number:
            return  # a later one became valid first
        now = self._clock()
        if self.settings.lease_mode == LeaseMode.GRACE:
            kept = {n: at for n, at in session.replaced_at.items() if now - at <= self.settings.grace}
            session.replaced_at = kept | {session.number: now}
        session.number = number
        self._counters.rotations += 1

    def tokens(self, session: Session, number: int | None = None) -> list[str]:
        """Return a session's tokens by their places; by default the valid ones."""
        number = session.number if number is None else number
        settings = self.settings
        places = len(settings.cookie_names) if settings.carrier == TokenCarrier.COOKIE else 1
        return [self._token(place, session.id, number) for place in range(places + settings.csrf)]

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
        """Return a signature that only this process can create."""
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=12).hexdigest()
