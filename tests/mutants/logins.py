"""Auth plugins and gateways with one rule taken out, as changes of the real ones (`pytest.MonkeyPatch.setattr`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from argosy.models.session import origin_of
from argosy_plugins.auth import _csrf, _dpop, digest


def sends_a_spent_nonce(change: Callable[..., None]) -> None:
    """Never learn that each request has a nonce of its own."""
    answered = digest.DigestSigner.answered

    def forget(self: Any, *args: Any, **options: Any) -> None:
        answered(self, *args, **options)
        self._once = False

    change(digest.DigestSigner, "answered", forget)


def shares_a_nonce_without_its_count(change: Callable[..., None]) -> None:
    """Answer the challenge that another process got, and count from one."""
    choose = digest.DigestSigner._choose

    def take(self: Any, kept: Mapping[str, str], **options: Any) -> None:
        choose(self, kept, **options)
        if self._own is None and kept.get("nonce"):
            self._own = digest._Challenge.of(kept["challenge"])

    change(digest.DigestSigner, "_choose", take)


def counts_nothing(change: Callable[..., None]) -> None:
    """Send each request with a nonce as its first one."""
    answer = digest._answer
    change(digest, "_answer", lambda user, password, sent, *args: answer(user, password, replace(sent, count=1), *args))


def proves_without_the_nonce(change: Callable[..., None]) -> None:
    """Leave the nonce out of each proof."""
    proof = _dpop.proof
    change(_dpop, "proof", lambda key, method, url, nonce=None, token=None: proof(key, method, url, None, token))


def proves_the_same_again(change: Callable[..., None]) -> None:
    """Send a proof twice."""
    made: dict[tuple[Any, ...], str] = {}
    proof = _dpop.proof
    change(_dpop, "proof", lambda *args: made.setdefault(args, proof(*args)))


def proves_to_everybody(change: Callable[..., None]) -> None:
    """Add a proof to requests of any origin."""
    sign = _dpop.DpopSigner.sign

    def anywhere(self: Any, request: Any, kept: Mapping[str, str]) -> Any:
        self._origins = {origin_of(request.url)}
        return sign(self, request, kept)

    change(_dpop.DpopSigner, "sign", anywhere)


def shares_a_key(change: Callable[..., None]) -> None:
    """Give all sessions one key."""
    kept: dict[str, str] = {}
    make = _dpop.make_key

    def once(session: Any) -> str:
        if not kept:
            make(session)
            kept.update(session.credentials)
        session.keep(_dpop._KEY, kept[_dpop._KEY])
        thumbprint: str = _dpop._key(kept[_dpop._KEY]).thumbprint()
        return thumbprint

    change(_dpop, "make_key", once)


def echoes_an_older_cookie(change: Callable[..., None]) -> None:
    """Copy the first value of the cookie into each request."""
    sign = _csrf.CookieEcho.sign

    def first(self: Any, request: Any, kept: Mapping[str, str]) -> Any:
        signed = sign(self, request, kept)
        if self._field in signed.headers:
            self.first = getattr(self, "first", signed.headers[self._field])
            signed.headers[self._field] = self.first
        return signed

    change(_csrf.CookieEcho, "sign", first)


def keeps_the_logins_first_value(change: Callable[..., None]) -> None:
    """Keep the first value of a login's responses."""
    listen = _csrf.CsrfEcho.listen

    def first(self: Any, session: Any, *args: Any) -> None:
        add, added = session.add_header, set()

        def add_once(name: str, *rest: Any) -> None:
            if name not in added:
                added.add(name)
                add(name, *rest)

        session.add_header = add_once
        listen(self, session, *args)

    change(_csrf.CsrfEcho, "listen", first)


#: Lines that a gateway runs as a plugin file, each with one rule taken out.
GATEWAYS = {
    # not only by its name: the redactor knows the new cookie already
    "passes_cookies_on": "fields._OF_SERVICE -= {'set-cookie'}; fields._INNOCENT |= {'set-cookie'}",
    "passes_tokens_on": "fields.Redactor.redact = lambda self, text: text",
    "compares_no_secret": "door.Door._is_secret = lambda self, given: True",
    "compares_the_start_of_a_secret": "door.Door._is_secret = lambda self, given: given[:5] == self.secret[:5]",
    "takes_any_host": "\n".join((
        "enter = door.Door.enter",
        "door.Door.enter = lambda self, target, headers, hosts: enter(self, target, headers, [next(iter(self._hosts))])",
    )),
    "takes_any_origin": "\n".join((
        "enter = door.Door.enter",
        "without = lambda headers: {name: value for name, value in headers.items() if name != 'Origin'}",
        "door.Door.enter = lambda self, target, headers, hosts: enter(self, target, without(headers), hosts)",
    )),
    "takes_any_site": "door._OWN_SITE |= {'cross-site', 'same-site'}",
    "leads_around_itself": "fields._WITH_URLS -= {'location'}",
}  # fmt: skip
