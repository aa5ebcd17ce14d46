"""What a service does, as far as tests can choose it."""

from __future__ import annotations

from dataclasses import dataclass

from argosy_devkit import body_of

#: Whom the services know, and the key of that person's one-time codes.
USER = "ada"
PASSWORD = "lovelace&=%+ 1815"
KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

#: The size of a book, in bytes.
SIZE = 2000


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a service does.

    Parameters
    ----------
    rotate
        Whether each response replaces the session's token; the old one is refused.
    steps
        Whether the password is asked for on a page of its own, after the user name.
    code
        Where a one-time code is asked for: nowhere, on the page of the password (``same``), or on one behind it
        (``next``).
    batch
        How many requests after one that replaced a header token belong to the same batch: they get no new one, and may
        still carry the old one.
    cookie
        Whether a value against forged requests comes in a cookie, instead of a header field.
    referer
        Whether books are only given to requests with a ``Referer`` of the service's own host, as by Jupyter's ``/files``.
    """

    rotate: bool = True
    steps: bool = False
    code: str = ""
    period: int = 30
    batch: int = 0
    cookie: bool = False
    referer: bool = False


def book(number: int) -> bytes:
    """Return the bytes of a book."""
    return body_of(f"book-{number}", SIZE)
