"""Proofs of the option `dpop`, read with PyJWT, and what is done about nonces."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_der_private_key

from argosy import PluginContext
from argosy.leasing.policy import Carriers
from argosy.models.session import SessionRecord
from argosy_plugins.auth import _dpop
from argosy_plugins.auth.oauth2 import OAuth2Auth

ORIGIN = "https://api.example"
OPTIONS: dict[str, Any] = {
    "grant": "client_credentials",
    "token_url": "https://login.example/token",
    "client_id": "argosy",
    "client_auth": "header",
    "redirect_uri": "http://127.0.0.1/callback",
    "origins": [ORIGIN, "https://files.example"],
    "refusal": {},
}


class Session:
    """What a login keeps."""

    def __init__(self) -> None:
        self.credentials: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def keep(self, name: str, value: str) -> None:
        self.credentials[name] = value

    def add_header(self, name: str, value: str, origins: object) -> None:
        self.headers[name] = value


@pytest.fixture
def session() -> Any:
    made: Any = Session()
    made.thumbprint = _dpop.make_key(made)
    return made


def read(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a proof whose signature is right."""
    header = jwt.get_unverified_header(proof)
    claims = jwt.decode(proof, jwt.PyJWK(header["jwk"], "ES256"), ["ES256"], options={"verify_iat": False})
    return header, claims


def signed(kept: dict[str, str], url: str = f"{ORIGIN}/files/1?part=2#x", token: str = "DPoP abc") -> Any:
    request = requests.Request("GET", url, headers={"Authorization": token}).prepare()
    return _dpop.DpopSigner([ORIGIN]).sign(request, kept)


def test_a_proof_says_what_it_is_for(session: Any) -> None:
    header, claims = read(signed(session.credentials).headers["DPoP"])
    assert (header["typ"], header["alg"], set(header["jwk"])) == ("dpop+jwt", "ES256", {"kty", "crv", "x", "y"})
    assert set(claims) == {"jti", "htm", "htu", "iat", "ath"}
    assert (claims["htm"], claims["htu"]) == ("GET", f"{ORIGIN}/files/1")
    assert base64.urlsafe_b64decode(claims["ath"] + "=") == hashlib.sha256(b"abc").digest()
    assert type(claims["iat"]) is int


def test_each_proof_is_another_one(session: Any) -> None:
    ids = {read(signed(session.credentials).headers["DPoP"])[1]["jti"] for _ in range(3)}
    assert len(ids) == 3


def test_the_newest_nonce_of_the_origin_is_in_it(session: Any) -> None:
    record = SessionRecord("default", credentials=session.credentials)
    carriers = Carriers(_dpop.carriers([ORIGIN, "https://files.example"]))
    for url, nonce in ((ORIGIN, "one"), ("https://files.example", "two"), ("https://elsewhere.example", "three")):
        record = SessionRecord(
            "d", credentials=carriers.settle(record, [("dpop-nonce", nonce)], f"{url}/1").credentials
        )
    assert read(signed(record.credentials).headers["DPoP"])[1]["nonce"] == "one"
    assert "dpop_key" in carriers.without_kept(record.credentials), "a lost response costs nonces, not the key"
    assert len(carriers.without_kept(record.credentials)) == 1


@pytest.mark.parametrize(
    ("url", "token"), [("https://elsewhere.example/", "DPoP abc"), (f"{ORIGIN}/", "Bearer abc"), (f"{ORIGIN}/", "")]
)
def test_what_gets_no_proof(session: Any, url: str, token: str) -> None:
    request = signed(session.credentials, url, token)
    assert ("DPoP" in request.headers, request.hooks["response"]) == (False, [])
    assert "DPoP" not in signed({}).headers, "a session of another configuration has no key"


def test_the_thumbprint_is_that_of_the_key(session: Any) -> None:
    key = load_der_private_key(base64.b64decode(session.credentials["dpop_key"]), None)
    numbers: Any = key.public_key().public_numbers()  # type: ignore[union-attr]  # an EC key
    x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in (numbers.x, numbers.y))
    text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    assert base64.urlsafe_b64decode(session.thumbprint + "=") == hashlib.sha256(text.encode()).digest()


def test_each_session_has_a_key_of_its_own(session: Any) -> None:
    other: Any = Session()
    assert _dpop.make_key(other) != session.thumbprint
    assert other.credentials["dpop_key"] != session.credentials["dpop_key"]


def answered(status: int, body: str = "{}", **fields: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = status, body.encode()
    response.headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    return response


def test_the_authorization_server_gets_its_nonce_on_the_second_try(session: Any) -> None:
    answers = [
        answered(400, '{"error": "use_dpop_nonce"}', DPoP_Nonce="n1"),
        answered(200, DPoP_Nonce="n2"),
    ]
    sent: list[dict[str, Any]] = []

    def post(fields: Any) -> requests.Response:
        sent.append(read(fields["DPoP"])[1])
        return answers[len(sent) - 1]

    assert _dpop.send(session, "https://login.example/token", post) is answers[1]
    assert [claims.get("nonce") for claims in sent] == [None, "n1"]
    assert {(claims["htm"], claims["htu"], "ath" in claims) for claims in sent} == {
        ("POST", "https://login.example/token", False)
    }
    assert session.credentials["dpop_server_nonce"] == "n2"


@pytest.mark.parametrize(
    ("status", "body", "nonce"),
    [
        (400, '{"error": "invalid_grant"}', "n1"),
        (400, "[", "n1"),
        (400, '{"error": "use_dpop_nonce"}', ""),
        (200, "{}", "n1"),
    ],
)
def test_nothing_else_is_sent_twice(session: Any, status: int, body: str, nonce: str) -> None:
    sent: list[object] = []

    def post(fields: object) -> requests.Response:
        sent.append(fields)
        return answered(status, body, DPoP_Nonce=nonce)

    _dpop.send(session, "https://login.example/token", post)
    assert len(sent) == 1


def test_the_options_decide_about_signer_and_carriers() -> None:
    bound = OAuth2Auth({**OPTIONS, "dpop": True}, PluginContext())
    assert [(c.field, c.is_kept, c.origins) for c in bound.carriers] == [
        ("DPoP-Nonce", True, (ORIGIN,)),
        ("DPoP-Nonce", True, ("https://files.example",)),
    ]
    assert isinstance(bound.signer(), _dpop.DpopSigner)
    assert not bound.can_refresh({"refresh_token": "r", "client": bound._mark}), "its key is missing"
    plain = OAuth2Auth(OPTIONS, PluginContext())
    assert (plain.carriers, plain.signer()) == ((), None)


def test_a_bearer_token_is_told(session: Any) -> None:
    notices: list[str] = []
    auth = OAuth2Auth({**OPTIONS, "dpop": True}, PluginContext(notice=notices.append))
    auth._keep(session, {"access_token": "abc", "token_type": "dpop"})
    assert (session.headers["Authorization"], notices) == ("DPoP abc", [])
    auth._keep(session, {"access_token": "abc", "token_type": "Bearer"})
    assert session.headers["Authorization"] == "Bearer abc"
    assert "issued a bearer token" in notices[0]
