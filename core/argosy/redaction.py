"""Keeping secrets out of everything that is written or shown."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict

from argosy.urls import redact_url

#: Tokens that are remembered, newest last; an old token is worth nothing any more.
REMEMBERED = 2048

#: Shorter values would blot out innocent text.
SHORTEST = 4

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


class Redactor:
    """Replaces secrets in text by ``***``.

    It knows the secrets that were resolved for this run and the newest tokens of its sessions, and it knows
    what credentials in a URL look like.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._secrets: OrderedDict[str, None] = OrderedDict()

    def add(self, secret: str) -> None:
        """Remember a secret."""
        if len(secret) < SHORTEST:
            return
        with self._mutex:
            self._secrets[secret] = None
            self._secrets.move_to_end(secret)
            if len(self._secrets) > REMEMBERED:
                self._secrets.popitem(last=False)

    def scrub(self, text: str) -> str:
        """Return the text without the secrets."""
        with self._mutex:
            secrets = sorted((s for s in self._secrets if s in text), key=len, reverse=True)
        for secret in secrets:
            text = text.replace(secret, "***")
        return _URL.sub(lambda match: redact_url(match[0]), text)
