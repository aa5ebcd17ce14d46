"""Which nonce the auth `digest` uses, and how it counts."""

from __future__ import annotations

import re

import pytest
import requests

from argosy import PluginContext
from argosy.leasing.policy import Carriers
from argosy.models.session import SessionRecord
from argosy.toolkit.responses import InvalidAnswer
from argosy_plugins.auth.digest import DigestAuth, DigestSigner
from servers.http_auth import HttpAuthServer

ORIGIN = "https://library.example"
KEPT = {"challenge": 'Digest realm="library", nonce="n1", opaque="o1", qop="auth", algorithm=MD5', "nonce": "n1"}


def signer() -> DigestSigner:
    return DigestSigner("ada", "secret", [ORIGIN])


def challenged() -> DigestSigner:
    """Return a signer whose process was challenged."""
    one = signer()
    one.adopt(KEPT["challenge"])
    return one


def signed(signer: DigestSigner, kept: dict[str, str] | None, url: str = f"{ORIGIN}/1") -> requests.PreparedRequest:
    request = requests.Request("GET", url).prepare()
    return signer(request) if kept is None else signer.sign(request, kept)


def sent(request: requests.PreparedRequest) -> tuple[str, str] | None:
    """Return the nonce and the count that a request carries."""
    field = str(request.headers.get("Authorization", ""))
    if not field:
        return None
    parameters = dict(re.findall(r'(\w+)="?([^",]+)', field))
    return parameters["nonce"], parameters["nc"]


def answer(request: requests.PreparedRequest, status: int = 200, **fields: str) -> requests.Response:
    """Let the hook of a signed request see a response."""
    response = requests.Response()
    response.status_code, response.request, response.url = status, request, request.url or ""
    response.headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    (hook,) = request.hooks["response"]
    result: requests.Response = hook(response)
    return result


def test_without_a_challenge_nothing_is_answered() -> None:
    assert sent(signed(signer(), {})) is None
    assert sent(signed(signer(), None)) is None
    assert sent(signed(signer(), {"challenge": "Basic realm=library", "nonce": "n1"})) is None
    assert sent(signed(signer(), {"challenge": 'Digest realm="x", nonce="n1", qop="auth-int"', "nonce": "n1"})) is None


def test_a_process_counts_the_requests_with_its_own_challenge() -> None:
    one = challenged()
    assert [sent(signed(one, KEPT)) for _ in range(3)] == [("n1", f"0000000{n}") for n in (1, 2, 3)]
    assert 'opaque="o1"' in str(signed(one, KEPT).headers["Authorization"])


def test_the_challenge_of_another_process_is_left_to_it() -> None:
    assert sent(signed(signer(), KEPT)) is None
    other = {"challenge": KEPT["challenge"].replace("n1", "n2"), "nonce": "n2"}
    assert sent(signed(challenged(), other)) == ("n1", "00000001")


def test_a_nonce_that_a_response_brought_is_used_by_the_next_request_of_any_process() -> None:
    one = challenged()
    request = signed(one, KEPT)
    answer(request, Authentication_Info='rspauth="x", nextnonce="n2"')
    assert sent(signed(one, {**KEPT, "nonce": "n2"})) == ("n2", "00000001")
    assert sent(signed(signer(), {**KEPT, "nonce": "n2"})) == ("n2", "00000001")


def test_a_challenge_that_another_process_has_answered_is_not_answered_again() -> None:
    assert sent(signed(challenged(), {**KEPT, "nonce": "n2"})) == ("n2", "00000001")


def test_where_each_request_has_its_nonce_any_challenge_will_do() -> None:
    one = challenged()
    answer(signed(one, KEPT), Authentication_Info='nextnonce="n2"')
    other = {"challenge": KEPT["challenge"].replace("n1", "n9"), "nonce": "n9"}
    assert sent(signed(one, other)) == ("n9", "00000001")
    one.adopt(other["challenge"])  # the thread that was challenged comes later
    assert sent(signed(one, {**other, "nonce": "n10"})) == ("n10", "00000001")


def test_a_brought_nonce_goes_with_its_own_challenge() -> None:
    one = challenged()
    answer(signed(one, KEPT), Authentication_Info='nextnonce="n2"')
    other = KEPT["challenge"].replace("n1", "n9").replace("o1", "o9")  # another process was challenged meanwhile
    assert 'opaque="o1"' in str(signed(one, {"challenge": other, "nonce": "n2"}).headers["Authorization"])


def test_a_replaced_nonce_is_not_sent_again_even_if_the_new_one_is_lost() -> None:
    one = challenged()
    answer(signed(one, KEPT), Authentication_Info='nextnonce="n2"')
    assert sent(signed(one, KEPT)) is None, "the challenge's nonce is used"
    kept = {**KEPT, "nonce": "n2"}
    for status in (404, 304):  # such responses may leave out the next one
        answer(signed(one, kept), status=status)
        assert sent(signed(one, kept)) is None


def test_after_a_lost_response_the_session_has_no_nonce_and_a_new_challenge_is_needed() -> None:
    one = challenged()
    signed(one, KEPT)
    assert sent(signed(one, {})) is None


def test_a_service_that_gives_the_same_nonce_again_gets_the_next_count() -> None:
    one = challenged()
    signed(one, KEPT)
    signed(one, {})
    one.adopt(KEPT["challenge"])
    assert sent(signed(one, KEPT)) == ("n1", "00000002")


def test_a_service_that_stops_to_replace_nonces_is_counted_again() -> None:
    one = challenged()
    answer(signed(one, KEPT), Authentication_Info='nextnonce="n2"')
    kept = {**KEPT, "nonce": "n2"}
    answer(signed(one, kept), Authentication_Info='rspauth="x"')
    assert sent(signed(one, kept)) == ("n2", "00000002")


def test_another_origin_gets_no_answer() -> None:
    request = signed(signer(), KEPT, "https://elsewhere.example/1")
    assert (sent(request), request.hooks["response"]) == (None, [])


@pytest.mark.parametrize(
    "challenge", ['Digest realm="x"', 'Digest nonce="x"', "Digest realm=x, nonce=y, algorithm=ROT13"]
)
def test_a_challenge_that_cannot_be_answered(challenge: str) -> None:
    request = signed(signer(), {})
    with pytest.raises(InvalidAnswer, match="Digest challenge"):
        answer(request, status=401, WWW_Authenticate=challenge)


def test_the_carriers_find_the_newest_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    options = {"origins": [ORIGIN], "user": "ada", "password": {"env": "PASSWORD"}, "refusal": {}}
    carriers = Carriers(DigestAuth(options, PluginContext()).carriers)
    record = SessionRecord("default")
    challenged = carriers.settle(record, [("WWW-Authenticate", KEPT["challenge"])], f"{ORIGIN}/1").credentials
    assert challenged == KEPT
    info = [("Authentication-Info", 'qop=auth, nextnonce="n2"')]
    assert carriers.settle(record, info, f"{ORIGIN}/1").credentials == {"nonce": "n2"}
    assert carriers.settle(record, info, "https://elsewhere.example/1").credentials == {}


def test_a_login_hands_an_unused_nonce_on() -> None:
    with HttpAuthServer() as server:
        one = DigestSigner("ada", "p\N{LATIN SMALL LETTER A WITH DIAERESIS}ss:word", [server.url])
        response = requests.get(f"{server.url}/digest/1", auth=one, timeout=30)
        assert (response.status_code, len(response.history)) == (200, 1)
        assert one.hand_over() == {}, "its nonce is used"
        again = requests.get(f"{server.url}/away/digest/1", auth=one, timeout=30)
        assert (again.status_code, server.seen["leaked"]) == (401, 0)
    two = signer()
    two.adopt(KEPT["challenge"])
    request = signed(two, None)
    answer(request, Authentication_Info='nextnonce="n2"')
    assert two.hand_over() == {**KEPT, "nonce": "n2"}
    assert two.hand_over() == {}
