"""Managers and adapters with one rule taken out that is about header fields, kept credentials, and bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from argosy.http.adapter import LeasedAdapter
from argosy.interfaces import Incoming
from argosy.leasing.lease import ExclusiveLease, Lease
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Brought, Carriers
from argosy.models.session import HeaderToken, SessionRecord
from lease_suite.service import URL
from mutants.managers import _WithLease


class _WithCarriers(SessionManager):
    """A manager whose carriers have a rule taken out."""

    carriers_class: ClassVar[type[Carriers]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.policy = replace(self.policy, carriers=self.carriers_class(self.policy.carriers.all))


# -- what a response brings


class _Blanks(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        return super().settle(record, [(name, value.strip() or "0.0") for name, value in fields], url)


class TakesABlankForAToken(_WithCarriers):
    """Stores the blank of a batch."""

    carriers_class = _Blanks


class _NoLeader(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        return Carriers(tuple(replace(carrier, follows="") for carrier in self.all)).settle(record, fields, url)


class ChangesFollowersAlone(_WithCarriers):
    """Changes the fields of a set one by one."""

    carriers_class = _NoLeader


class _AnyOrigin(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        return super().settle(record, fields, URL)


class TrustsEveryOrigin(_WithCarriers):
    """Takes tokens from responses of any host."""

    carriers_class = _AnyOrigin


class _NoScheme(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        brought = super().settle(record, fields, url)
        if brought.headers is record.headers:
            return brought
        bare = tuple(replace(token, value=token.value.rpartition(" ")[2]) for token in brought.headers)
        return brought._replace(headers=bare)


class LosesTheScheme(_WithCarriers):
    """Sends a new value without ``Bearer``."""

    carriers_class = _NoScheme


class _SilentLease(ExclusiveLease):
    def _brought(self, record: SessionRecord, brought: Brought) -> dict[str, object]:
        return {"headers": brought.headers, "credentials": brought.credentials}


class TellsNoSecrets(_WithLease):
    """Stores a new token that logs and reports do not leave out."""

    lease_class = _SilentLease


# -- one commit, under the lease


class _LateFields(ExclusiveLease):
    def settle(self, headers: Any, url: str, date: str | None, fields: Any = ()) -> None:
        super().settle(headers, url, date)
        brought = self._policy.carriers.settle(self._record, fields, url)
        self._commit(lambda record: self._brought(record, brought))


class SettlesFieldsInASecondCommit(_WithLease):
    """Stores the cookies and clears the mark, and then stores the header fields."""

    lease_class = _LateFields


class BindsTheSetEarly(SessionManager):
    """Takes the header fields before it queues for the lease."""

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Any:
        early = self._read()
        lease = super().lease(url, admit)
        if early.logins:
            lease.credentials = Lease(self.store, early, self.policy).credentials  # type: ignore[method-assign]
        return lease


class SignsBeforeTheLease(LeasedAdapter):
    """Signs with the nonce that was kept when the request queued."""

    def pass_on(self, hop: Any, *args: Any, **options: Any) -> Incoming:
        record = self.manager._read()
        authorize, signer = hop.authorize, getattr(hop.request, "argosy_signer", None)
        if record.logins and signer is not None:

            def stale() -> Any:
                authorize()
                return signer.sign(hop.request, {}, dict(record.credentials))

            hop.authorize = stale
        return super().pass_on(hop, *args, **options)


class _BodyAfterwards(ExclusiveLease):
    late: Callable[[], None] | None = None

    def settle_body(self, body: bytes, url: str) -> None:
        settle = super().settle_body
        self.late = lambda: settle(body, url)

    def end(self, *, complete: bool = True) -> None:
        super().end(complete=complete)
        if self.late is not None:
            self.late()


class StoresTheBodyAfterTheLease(_WithLease):
    """Ends the lease, and then stores the token of the body."""

    lease_class = _BodyAfterwards


# -- overlapping requests


class _LastWins(Carriers):
    def merge(self, newest: SessionRecord, before: SessionRecord, brought: Brought) -> Brought:
        return brought


class LetsTheLastAnswerWin(_WithCarriers):
    """Overwrites what an earlier answer brought."""

    carriers_class = _LastWins


class _NotMerged(Carriers):
    def merge(self, newest: SessionRecord, before: SessionRecord, brought: Brought) -> Brought:
        return brought if newest is before else Brought(newest.headers, newest.credentials)


class MergesNothing(_WithCarriers):
    """Drops what an answer brought if any other one was stored before."""

    carriers_class = _NotMerged


class _NotKept(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        return super().settle(record, fields, url)._replace(credentials=record.credentials)


class LosesTheNonce(_WithCarriers):
    """Keeps the first nonce."""

    carriers_class = _NotKept


class LogsInDespiteANewerSet(SessionManager):
    """Looks at the cookies alone after a refusal."""

    def refused(self, stamp: Any, *, again: bool = False) -> None:
        newest = self.policy.carriers.of(self._read().headers)
        super().refused(stamp._replace(headers=newest), again=again)


# -- auto


class _Uncounted(Carriers):
    def of(self, tokens: Iterable[HeaderToken], url: str | None = None) -> tuple[HeaderToken, ...]:
        return ()


class SharesDespiteAReplacedField(_WithCarriers):
    """Lets requests overlap if the cookies are quiet, whatever the header fields do."""

    carriers_class = _Uncounted


class _Quiet(Carriers):
    def settle(self, record: SessionRecord, fields: Iterable[tuple[str, str]], url: str) -> Brought:
        return super().settle(record, fields, url)._replace(is_blank=False)


class TakesBlanksForQuiet(_WithCarriers):
    """Counts a blank as an answer that replaces nothing."""

    carriers_class = _Quiet


# -- doubt


class SendsFieldsInDoubt(SessionManager):
    """Takes header fields for fixed ones after a lost answer."""

    def _on_doubt(self, record: SessionRecord) -> str:
        return "drop"


class _AllKept(Carriers):
    def without_kept(self, credentials: dict[str, str]) -> dict[str, str]:
        return credentials


class SendsANonceInDoubt(_WithCarriers):
    """Keeps the nonce of a request whose answer was lost."""

    carriers_class = _AllKept
