"""The rules of the lease for tokens besides cookies: header fields, kept credentials, and bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.adaptive import QUIET
from argosy.leasing.login import Authority, Credentials
from argosy.leasing.policy import Carriers, LeaseMode
from argosy.models.cookie import Cookie
from argosy.models.session import Carrier, HeaderToken, SessionRecord, Signer, Status
from argosy_devkit.client import LibraryServer, ServerFactory
from argosy_devkit.contracts.store_processes import StoreSpec
from argosy_devkit.contracts.waiting import Thread, wait_until
from lease_suite.client import Client, ClientSpec, HeaderLogin, NonceLogin
from lease_suite.scenario import LeaseScenario
from lease_suite.service import ELSEWHERE, HOME, HOST, SET, URL, CarrierService
from lease_suite.wire import WireRules

NONCE = Carriers((Carrier("nonce", "Authentication-Info", HOME, parameter="nextnonce", is_kept=True),))


class CarrierScenario(LeaseScenario):
    """A session whose tokens are in header fields, in a cookie as well, or in bodies."""

    def __init__(self, store: CookieStore, manager_class: Any, carrier: str) -> None:
        super().__init__(store, manager_class)
        self.service = self.carrying = CarrierService(carrier)
        self.login = self.carrying.authority

    def manager(self, *, can_login: bool = True, **policy: Any) -> Any:
        """Return another program's manager."""
        return super().manager(can_login=can_login, **{"carriers": self.carrying.carriers, **policy})

    def take(self, lease: Any) -> None:
        """Send the request of a lease and settle it."""
        answer = self.carrying.take(lease.credentials(URL))
        assert answer is not None, "the service refused the newest tokens"
        lease.settle(answer.cookies, URL, None, answer.fields)

    def headers(self) -> dict[str, str]:
        """Return the header tokens of the record."""
        return {token.name: token.value for token in self.record().headers}


class Logins(Authority):
    """The logins of a service, with something changed."""

    def __init__(self, service: CarrierService, change: Callable[[Credentials], Credentials]) -> None:
        self._service, self._change = service, change

    def log_in(self, record: SessionRecord) -> Credentials:
        """Log in."""
        return self._change(self._service.grant())


def answer(lease: Any, *fields: tuple[str, str], url: str = URL) -> Any:
    """End a lease with a response of these header fields; return its stamp."""
    lease.settle([], url, None, fields)
    lease.end()
    return lease.stamp


class CarrierRules(WireRules):
    """All that says who asks is read under the lease, and replaced in the commit that settles it."""

    @pytest.fixture
    def carried(self, store: CookieStore) -> Iterator[Callable[[str], CarrierScenario]]:
        """Make sessions on the store; afterwards check that no replaced token was sent and no login was needless."""
        made: list[CarrierScenario] = []

        def make(carrier: str) -> CarrierScenario:
            made.append(CarrierScenario(store, self.manager_class, carrier))
            return made[-1]

        yield make
        for scenario in made:
            assert scenario.service.replaced_sent == 0, "a replaced token was sent"
            assert scenario.service.needless_logins == 0, "a login without a reason"

    def _nonces(self, scenario: CarrierScenario, **policy: Any) -> Any:
        scenario.login = Logins(scenario.carrying, lambda granted: Credentials(credentials={"nonce": "first"}))
        return scenario.manager(carriers=NONCE, signer=Signer.KEPT, **policy)

    # -- one commit

    def test_header_fields_and_cookies_are_settled_in_one_commit(
        self, carried: Callable[[str], CarrierScenario]
    ) -> None:
        """The new tokens of both and the end of the mark are in one write, and the session is held until then."""
        scenario = carried("both")
        lease = scenario.manager().lease(URL)
        lease.credentials(URL)
        assert not scenario.is_free(), "the session must be held while its tokens are on their way"
        scenario.store.writes = []
        scenario.take(lease)
        assert len(scenario.store.writes) == 1, "cookies, header fields and the end of the mark must be one write"
        record = scenario.record()
        assert record.status is Status.IDLE, "settling must clear the mark"
        tokens = scenario.carrying.tokens_of(record)
        assert all(map(scenario.carrying.is_good, tokens)), "settling must store the new tokens of all carriers"
        assert not scenario.is_free(), "the session must be held until the lease ends"
        lease.end()

    def test_the_next_request_has_the_whole_set(self, carried: Callable[[str], CarrierScenario]) -> None:
        """Managers of different programs send one set after the other; each third answer is a blank."""
        scenario = carried("fields")
        managers = [scenario.manager() for _ in range(3)]
        for turn in range(9):
            lease = managers[turn % 3].lease(URL)
            scenario.take(lease)
            lease.end()
        assert set(scenario.headers().values()) == {"1.7"}
        assert scenario.service.logins == 1

    def test_the_set_is_read_under_the_lease(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A sender that waits for its turn sends what the one before it brought."""
        scenario = carried("fields")
        first = scenario.manager().lease(URL)
        second = scenario.manager()
        waiting = Thread(lambda: scenario.take(second.lease(URL)))
        wait_until(lambda: "waiting lease" in scenario.told, "the second sender to wait")
        scenario.take(first)
        first.end()
        waiting.result()

    # -- what replaces a token

    @pytest.mark.parametrize(
        ("fields", "kept"),
        [
            ([(SET[0], " "), (SET[1], "2")], True),
            ([(SET[0], "")], True),
            ([(SET[1], "2")], True),
            ([("Content-Type", "text/plain")], True),
            ([(SET[0], "2"), (SET[1], "2")], False),
        ],
        ids=["blank", "empty", "follower", "absent", "replaced"],
    )
    def test_a_set_changes_as_one_or_not_at_all(
        self, carried: Callable[[str], CarrierScenario], fields: list[tuple[str, str]], kept: bool
    ) -> None:
        """A blank or missing token keeps the whole set."""
        scenario = carried("fields")
        answer(scenario.manager().lease(URL), *fields)
        wanted = dict.fromkeys(SET, "1.1" if kept else "2")
        assert scenario.headers() == wanted, "the header fields of a session must change as one"

    def test_another_origin_replaces_nothing(self, carried: Callable[[str], CarrierScenario]) -> None:
        """Only the service may replace its token."""
        scenario = carried("fields")
        manager = scenario.manager()
        manager.ensure()
        for lease in (manager.lease(ELSEWHERE), manager.lease(URL)):
            answer(lease, *[(name, "stolen") for name in SET], url=ELSEWHERE)
        assert set(scenario.headers().values()) == {"1.1"}, "another origin replaced the token"

    def test_a_new_value_keeps_the_scheme(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A service that returns a token without ``Bearer`` wants it with ``Bearer`` again."""
        scenario = carried("fields")
        token = HeaderToken(SET[0], "Bearer 1", HOME)
        scenario.login = Logins(scenario.carrying, lambda granted: replace(granted, headers=(token,)))
        answer(scenario.manager().lease(URL), (SET[0], "2"))
        assert scenario.headers() == {SET[0]: "Bearer 2"}, "a new value must keep the scheme of the old one"

    def test_a_new_token_is_a_secret_before_it_is_stored(self, carried: Callable[[str], CarrierScenario]) -> None:
        """Logs and reports can leave it out from the moment when others can read it."""
        scenario = carried("fields")
        known: list[bool] = []
        lease = scenario.manager().lease(URL)
        scenario.store.on_write = lambda record: known.extend(
            f"secret: {token.value}" in scenario.told for token in record.headers
        )
        answer(lease, *[(name, f"new-{name}") for name in SET])
        assert known, "nothing was stored"
        assert all(known), "a token was stored before argosy knew that it is a secret"

    # -- overlapping requests

    def test_of_overlapping_answers_the_first_one_wins(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A later answer to a request with the old set may be an anonymous one."""
        scenario = carried("fields")
        manager = scenario.manager(lease_mode=LeaseMode.SHARED)
        manager.ensure()
        leases = [manager.lease(URL) for _ in range(3)]
        for lease, value in zip(leases, ["first", "second", " "], strict=True):
            answer(lease, *[(name, value) for name in SET])
        assert set(scenario.headers().values()) == {"first"}, "the first answer must win"

    def test_what_an_answer_brings_is_merged_into_a_newer_record(
        self, carried: Callable[[str], CarrierScenario]
    ) -> None:
        """An overlapping answer with a cookie alone has changed the record, but not the set or the nonce."""
        scenario = carried("fields")
        nonce = {"nonce": "first"}
        scenario.login = Logins(scenario.carrying, lambda granted: replace(granted, credentials=nonce))
        both = Carriers((*scenario.carrying.carriers.all, *NONCE.all))
        manager = scenario.manager(lease_mode=LeaseMode.SHARED, carriers=both)
        manager.ensure()
        late, first = manager.lease(URL), manager.lease(URL)
        first.settle(["theme=dark; Path=/"], URL, None)
        answer(late, *[(name, "2") for name in SET], ("Authentication-Info", 'nextnonce="second"'))
        assert [cookie.name for cookie in scenario.record().cookies] == ["theme"]
        assert scenario.headers() == dict.fromkeys(SET, "2"), "the new set must be merged into the newer record"
        assert scenario.record().credentials == {"nonce": "second"}, (
            "the new nonce must be merged into the newer record"
        )

    def test_a_refused_request_looks_for_a_newer_set(self, carried: Callable[[str], CarrierScenario]) -> None:
        """If an overlapping answer has replaced the set meanwhile, there is no login."""
        scenario = carried("fields")
        manager = scenario.manager(lease_mode=LeaseMode.SHARED)
        manager.ensure()
        refused, good = manager.lease(URL), manager.lease(URL)
        scenario.take(good)
        good.end()
        manager.refused(answer(refused))
        assert scenario.service.logins == 1, "a newer token must be tried before a login"

    # -- auto

    def test_auto_counts_header_fields_as_it_counts_cookies(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A replaced header field keeps the session exclusive, whatever the cookies beside it do."""
        scenario = carried("fields")
        cookies = (Cookie("theme", "dark", HOST),)
        scenario.login = Logins(scenario.carrying, lambda granted: replace(granted, cookies=cookies))
        manager = scenario.manager(lease_mode=LeaseMode.AUTO)
        for number in range(QUIET + 1):
            manager.accepted(answer(manager.lease(URL), *[(name, str(number)) for name in SET]))
        mode, reason = manager.in_force()
        assert mode is LeaseMode.EXCLUSIVE, f"auto let requests overlap although each answer replaced the set: {reason}"

    def test_auto_does_not_take_blanks_for_quiet(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A blank says that the service replaces the token, but not now."""
        scenario = carried("fields")
        manager = scenario.manager(lease_mode=LeaseMode.AUTO)
        for _ in range(QUIET + 1):
            manager.accepted(answer(manager.lease(URL), (SET[0], " ")))
        assert manager.in_force()[0] is LeaseMode.EXCLUSIVE, "auto took blanks for answers that replace nothing"

    # -- doubt

    def test_header_fields_in_doubt_are_not_sent_again(self, carried: Callable[[str], CarrierScenario]) -> None:
        """A lost answer costs one login, as with cookies."""
        scenario = carried("fields")
        lease = scenario.manager().lease(URL)
        assert scenario.carrying.take(lease.credentials(URL)) is not None
        scenario.service.reason = True
        lease.doubt()
        lease.end(complete=False)
        again = scenario.manager().lease(URL)
        scenario.take(again)
        again.end()
        assert scenario.service.logins == 2, "a lost answer costs one login"

    def test_a_nonce_in_doubt_is_dropped(self, carried: Callable[[str], CarrierScenario]) -> None:
        """It may be spent, and the next challenge brings another one: no login is needed."""
        scenario = carried("fields")
        manager = self._nonces(scenario)
        lease = manager.lease(URL)
        assert dict(lease.kept) == {"nonce": "first"}
        lease.doubt()
        lease.end(complete=False)
        lease = manager.lease(URL)
        assert dict(lease.kept) == {}, "a nonce that may be spent must not be sent again"
        answer(lease)

    def test_a_nonce_is_kept_for_the_next_request(self, carried: Callable[[str], CarrierScenario]) -> None:
        """Of overlapping answers, the first one wins."""
        scenario = carried("fields")
        manager = self._nonces(scenario, lease_mode=LeaseMode.SHARED)
        manager.ensure()
        for lease, nonce in [(manager.lease(URL), nonce) for nonce in ("second", "late")]:
            answer(lease, ("Authentication-Info", f'qop=auth, nextnonce="{nonce}"'))
        assert scenario.record().credentials == {"nonce": "second"}, "the nonce of the first answer must be kept"

    # -- bodies

    def test_the_token_of_a_body_is_stored_before_the_lease_ends(
        self, carried: Callable[[str], CarrierScenario]
    ) -> None:
        """The mark stays until the token is stored, and the session is held."""
        scenario = carried("bodies")
        lease = scenario.manager(lease_mode=LeaseMode.EXCLUSIVE_TO_END).lease(URL)
        taken = scenario.carrying.take(lease.credentials(URL))
        assert taken is not None
        lease.settle([], URL, None)
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, False)
        lease.settle_body(taken.body, URL)
        assert scenario.headers() == {"Authorization": "Bearer 1.2"}, (
            "the token of a body must be stored before the lease ends"
        )
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, False)
        lease.end()
        assert (scenario.record().status, scenario.is_free()) == (Status.IDLE, True)

    # -- over HTTP

    def _client(self, spec: StoreSpec, server: LibraryServer, auth: type, store: CookieStore) -> Client:
        options = {"manager_class": self.manager_class, "adapter_class": self.adapter_class, "auth_class": auth}
        return Client(ClientSpec.of(spec, server, **options), store)

    @pytest.mark.parametrize(("carrier", "auth"), [("header", HeaderLogin), ("nonce", NonceLogin)])
    def test_threads_share_what_is_no_cookie(
        self, spec: StoreSpec, store: CookieStore, library_server: ServerFactory, carrier: str, auth: type
    ) -> None:
        """Eight threads, one login, and every request has the newest token."""
        server = library_server(lease_mode="revoke", carrier=carrier)
        client = self._client(spec, server, auth, store)
        try:
            client.load("thread", 8, 4)
        finally:
            client.close()
            stats = server.stats()
            assert stats.replaced_tokens_sent == 0, "a replaced token was sent"
        assert (stats.refused, stats.logins, stats.accepted) == (0, 1, 32)
