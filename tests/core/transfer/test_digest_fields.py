"""Digests in headers: RFC 9530, RFC 3230, and Content-MD5."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from argosy.transfer.headers import digest_in

BODY = b'{"hello": "world"}\n'
#: From RFC 9530, appendix B.1: the digest of the body above.
OF_THE_RFC = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="


def whole(headers: CaseInsensitiveDict[str]) -> dict[str, str]:
    return digest_in(headers, "Repr-Digest", "Digest")


def b64(name: str) -> str:
    return base64.b64encode(hashlib.new(name, BODY).digest()).decode()


def headers(**fields: str) -> CaseInsensitiveDict[str]:
    return CaseInsensitiveDict({name.replace("_", "-"): value for name, value in fields.items()})


def test_the_example_of_the_rfc() -> None:
    digest = {"sha256": hashlib.sha256(BODY).hexdigest()}
    assert whole(headers(repr_digest=f"sha-256=:{OF_THE_RFC}:")) == digest
    assert digest_in(headers(content_digest=f"sha-256=:{OF_THE_RFC}:"), "Content-Digest") == digest


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"repr_digest": f"sha-512=:{b64('sha512')}:"}, "sha512"),
        ({"repr_digest": f"sha-512=:{b64('sha512')}:, sha-256=:{b64('sha256')}:"}, "sha256"),
        ({"repr_digest": f"unixsum=:AAA=:, md5=:{b64('md5')}:;x=1 , other=?1"}, "md5"),
        ({"digest": f"SHA-256={b64('sha256')}"}, "sha256"),
        ({"digest": f"md5={b64('md5')},SHA={b64('sha1')}"}, "sha1"),
        ({"repr_digest": "nonsense", "digest": f"SHA-512={b64('sha512')}"}, "sha512"),
    ],
)
def test_the_best_digest_counts(fields: dict[str, str], name: str) -> None:
    assert whole(headers(**fields)) == {name: hashlib.new(name, BODY).hexdigest()}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha-256",
        "sha-256=",
        "sha-256=::",
        f"sha-256=:{OF_THE_RFC[:-4]}:",
        f"sha-256=:{OF_THE_RFC.replace('=', '')}:",
        f"sha-512=:{OF_THE_RFC}:",
        "blake9=:AAAA:",
    ],
)
def test_an_invalid_digest_is_ignored(value: str) -> None:
    assert whole(headers(repr_digest=value)) == {}


def test_content_md5() -> None:
    found = digest_in(headers(content_md5=b64("md5")), "Content-Digest", "Content-MD5")
    assert found == {"md5": hashlib.md5(BODY).hexdigest()}
    assert digest_in(headers(content_md5="AAAA"), "Content-MD5") == digest_in(headers(), "Content-MD5") == {}


@given(st.text(max_size=80) | st.from_regex(r"(sha-256|md5)=:[A-Za-z0-9+/=]*:(, )?"))
def test_garbage_raises_nothing(value: str) -> None:
    for fields in (headers(repr_digest=value), headers(digest=value)):
        assert all(len(bytes.fromhex(found)) >= 16 for found in whole(fields).values())
    digest_in(headers(content_digest=value), "Content-Digest")
    digest_in(headers(content_md5=value), "Content-MD5")
