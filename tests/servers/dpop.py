"""What a server checks of a proof (RFC 9449 sections 4.3 and 8), with PyJWT, and the nonces that it wants in them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import Counter
from typing import Any

import jwt

#: Claims and header of proofs that are close enough in time, in seconds.
WINDOW = 60


class BadProof(Exception):
    """Why a proof is refused: the error code of the response."""


class Proofs:
    """Checks proofs, and counts what it refuses: ``replayed`` proofs, and ``nonce`` for those without a good one.

    A nonce is good for `uses` proofs; after that, the one before the newest is good for the same number again.
    """

    def __init__(self, seen: Counter[str], name: str, uses: int) -> None:
        self._seen, self._name, self._uses = seen, name, uses
        self._mutex = threading.Lock()
        self._count = 0
        self._known: set[str] = set()

    @property
    def nonce(self) -> str:
        """The newest nonce."""
        return f"{self._name}-nonce-{self._count // self._uses}"

    def check(self, proof: str | None, method: str, url: str, token: str | None = None) -> str:
        """Return the thumbprint of the key of a proof; raise BadProof."""
        try:
            header = jwt.get_unverified_header(proof or "")
            key = header["jwk"]
            assert header["typ"] == "dpop+jwt"
            assert header["alg"] == "ES256"
            assert "d" not in key
            claims = jwt.decode(
                proof or "",
                jwt.PyJWK(key, "ES256"),
                ["ES256"],
                options={"require": ["iat", "jti"], "verify_iat": False},
            )
            assert (claims["htm"], claims["htu"]) == (method, url)
            assert abs(claims["iat"] - time.time()) < WINDOW
            if token is not None:
                digest = hashlib.sha256(token.encode()).digest()
                assert claims["ath"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        except (jwt.PyJWTError, KeyError, AssertionError):
            self._seen["bad proof"] += 1
            raise BadProof("invalid_dpop_proof") from None
        self._accept(claims)
        thumb = json.dumps(
            {name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True
        )
        return base64.urlsafe_b64encode(hashlib.sha256(thumb.encode()).digest()).rstrip(b"=").decode()

    def _accept(self, claims: dict[str, Any]) -> None:
        with self._mutex:
            newest = self._count // self._uses
            if claims.get("nonce") not in {f"{self._name}-nonce-{n}" for n in (newest, newest - 1)}:
                self._seen[f"{self._name} nonce"] += 1
                raise BadProof("use_dpop_nonce")
            if claims["jti"] in self._known:
                self._seen["replayed"] += 1
                raise BadProof("invalid_dpop_proof")
            self._known.add(claims["jti"])
            self._count += 1
