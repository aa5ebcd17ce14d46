"""Logging the sessions of a pool in, at the start of a run or because somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.engine.sessions.pooled import MOST_SESSIONS, PooledSession, name_of
from argosy.errors import LoginFailed, SessionError, TransferError
from argosy.interfaces.cookie_store import CookieStore
from argosy.models.session import SessionRecord, Status


class Muster:
    """Logs sessions in, one after the other.

    Where the service refuses one login, no more are tried: it allows no more sessions, or the password is wrong.

    Parameters
    ----------
    members
        The sessions that are asked for.
    store
        Keeps their records.
    can_login
        Whether a login makes a new session at the service; false for jars, each of which stands for itself.
    """

    def __init__(self, members: Sequence[PooledSession], store: CookieStore, *, can_login: bool) -> None:
        self._members = members
        self._store = store
        self._can_login = can_login

    def begin(self) -> dict[PooledSession, SessionError]:
        """Log in what is not logged in; return what went wrong.

        Raises
        ------
        TransferError
            If the service is out of reach and there is no session at all. Where there is one, the others are
            logged in when they are used.
        """
        problems: dict[PooledSession, SessionError] = {}
        refused: LoginFailed | None = None
        out_of_reach: TransferError | None = None
        fewer = self._are_fewer_asked()
        for member in self._members:
            if out_of_reach is not None and not self._record(member).is_usable:
                continue
            try:
                self._ensure(member, refused, retired_too=fewer)
            except SessionError as error:
                problems[member] = error
                refused = refused or self._refusal(error)
            except TransferError as error:
                out_of_reach = error
        usable = [m for m in self._members if m not in problems and self._record(m).is_usable]
        if out_of_reach is not None and not usable:
            raise out_of_reach
        return problems

    def again(self, *, forget: bool = False) -> Iterator[tuple[str, SessionError | None]]:
        """Log every session in, whatever there is; yield the name of each, and what went wrong, if anything."""
        refused: LoginFailed | None = None
        for member in self._members:
            try:
                if refused is not None:
                    raise refused
                member.manager.login(forget=forget)
                member.manager.sync()
            except SessionError as error:
                refused = refused or self._refusal(error)
                yield member.name, error
            else:
                yield member.name, None

    def _ensure(self, member: PooledSession, refused: LoginFailed | None, *, retired_too: bool) -> None:
        record = self._record(member)
        if refused is not None and not record.is_usable:
            raise refused
        if retired_too and record.status is Status.RETIRED:
            member.manager.login("fewer sessions are asked for")
        member.manager.ensure()

    def _refusal(self, error: SessionError) -> LoginFailed | None:
        return error if isinstance(error, LoginFailed) and self._can_login else None

    def _are_fewer_asked(self) -> bool:
        """Return whether no more sessions are asked for than the service was found to give."""
        first = self._members[0].name
        records = [self._store.read(name_of(first, number)) for number in range(1, MOST_SESSIONS + 1)]
        return len(self._members) <= sum(record is not None and record.is_usable for record in records)

    def _record(self, member: PooledSession) -> SessionRecord:
        return self._store.read(member.name) or SessionRecord(member.name)
