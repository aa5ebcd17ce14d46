"""HTTP Digest that refuses each count of a nonce that it has seen (RFC 7616 section 3.4), made with Flask and Werkzeug."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter

from flask import Flask, Response, request

from servers.in_thread import InThread

USER, PASSWORD, REALM = "ada", "pass:word", "library"


class StrictDigest(InThread):
    """Gives ``/N`` to those who answer its challenges.

    A nonce that was used `uses` times is replaced by ``nextnonce``, and refused after twice as many. `seen` counts
    ``accepted`` and ``challenged`` requests, and ``counted twice`` those with a count that was used.
    """

    def __init__(self, uses: int) -> None:
        self.seen: Counter[str] = Counter()
        self._uses = uses
        self._mutex = threading.Lock()
        self._counts: dict[str, set[str]] = {}
        app = Flask(__name__)
        app.add_url_rule("/<int:number>", "give", self._give)
        super().__init__(app)
        self.url = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def body(number: int) -> bytes:
        """Return the file of this number."""
        return hashlib.sha256(str(number).encode()).digest() * 300

    def _new(self) -> str:
        nonce = f"nonce-{len(self._counts)}"
        self._counts[nonce] = set()
        return nonce

    def _give(self, number: int) -> Response:
        with self._mutex:
            given = request.authorization
            counts = self._counts.get(str(given and given.get("nonce")))
            if given is None or counts is None or not self._is_right() or len(counts) >= 2 * self._uses:
                return self._challenge(is_stale=given is not None)
            count = str(given.get("nc"))
            if count in counts:
                self.seen["counted twice"] += 1
                return self._challenge(is_stale=True)
            counts.add(count)
            self.seen["accepted"] += 1
            response = Response(self.body(number), mimetype="application/octet-stream")
            if len(counts) >= self._uses:
                response.headers["Authentication-Info"] = f'nextnonce="{self._new()}"'
            return response

    def _challenge(self, *, is_stale: bool) -> Response:
        self.seen["challenged"] += 1
        text = f'Digest realm="{REALM}", nonce="{self._new()}", qop="auth", algorithm=SHA-256, stale={str(is_stale).lower()}'
        return Response(status=401, headers={"WWW-Authenticate": text})

    def _is_right(self) -> bool:
        given = request.authorization
        assert given is not None

        def digest(*parts: object) -> str:
            return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()

        mine = digest(USER, REALM, PASSWORD)
        asked = digest(request.method, given.get("uri"))
        right = digest(mine, given.get("nonce"), given.get("nc"), given.get("cnonce"), given.get("qop"), asked)
        return given.get("username") == USER and given.get("uri") == request.path and given.get("response") == right
