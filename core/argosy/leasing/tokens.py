"""Which cookies of a session are tokens, and what a response did to them.

A response *replaces* a token if it changes the value of one that was sent: the service then refuses the old one. A new
cookie or a new expiry replaces nothing. A deleted cookie leaves nothing newer to send: the session is over, or the cookie
was a note for one page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from argosy.cookies.jar import Jar
from argosy.models.cookie import Cookie

#: An expiry that moved by less than this share of the remaining lifetime is not written: a service that prolongs
#: its session with every response would cost a write each.
SLIGHT = 0.1

_Key = tuple[str, str, str, str | None, int | None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The cookies that are tokens: those with these names (``token_cookies``), or all if there are none."""

    names: frozenset[str] = frozenset()

    @classmethod
    def named(cls, names: Iterable[str]) -> Tokens:
        """Return the tokens with these names, or with this one."""
        return cls(frozenset([names] if isinstance(names, str) else names))

    def of(self, cookies: Jar) -> Jar:
        """Return the cookies that are tokens."""
        return tuple(cookie for cookie in cookies if cookie.name in self.names) if self.names else cookies

    def same(self, one: Jar, other: Jar) -> bool:
        """Return whether two jars have the same tokens, regardless of expiry."""
        return one is other or _values(self.of(one)) == _values(self.of(other))

    def replaced(self, sent: Jar, before: Jar, after: Jar) -> bool:
        """Return whether a response to a request with the cookies `sent` replaced a token; the jars are whole."""
        sent = self.of(sent)
        if after is before or not sent:
            return False
        old, left = _values(before), _values(after)
        brought = [cookie for cookie in self.of(after) if old.get(cookie.key) != cookie.value]
        names, values = {cookie.name for cookie in sent}, {(cookie.name, cookie.value) for cookie in sent}
        # under any domain and path, as the old cookie and the new one would go out together
        if any(new.name in names and (new.name, new.value) not in values for new in brought):
            return True
        # or one is gone, and a cookie with a new name has come
        return any(cookie.key not in left for cookie in sent) and any(new.key not in old for new in brought)

    def merge(self, newest: Jar, before: Jar, after: Jar) -> Jar:
        """Return the newest jar with the changes of a response, unless another response came first.

        Two overlapping requests may carry the same token while only one succeeds. A cookie from the
        other response, perhaps an anonymous one, must not replace the good token, so a change counts only if the newest jar still has the
        cookie that was sent. Named tokens are one set: if one was replaced meanwhile, the response's are ignored.
        """
        if newest is before:
            return after
        late = bool(self.names) and not self.same(newest, before)
        old, brought = _by_key(before), _by_key(after)
        merged, now = _by_key(newest), _values(newest)
        for key in dict.fromkeys([*old, *brought]):
            was, new = old.get(key), brought.get(key)
            if was == new or now.get(key) != (was.value if was else None) or (late and key[0] in self.names):
                continue
            if new is None:
                merged.pop(key, None)
            else:
                merged[key] = new
        cookies = tuple(merged.values())
        return newest if cookies == newest else cookies

    def over(self, before: Jar, after: Jar) -> bool:
        """Return whether a session that had tokens has none left."""
        return not self.of(after) and bool(self.of(before))


#: Every cookie is a token.
ALL = Tokens()


def slight(before: Jar, after: Jar, now: float) -> bool:
    """Return whether only expiry times changed, and only a little (`now`: seconds since the epoch)."""
    return before is after or (
        len(before) == len(after)
        and all(_is_slight(old, new, now) for old, new in zip(before, after, strict=True))
    )


def _is_slight(old: Cookie, new: Cookie, now: float) -> bool:
    if old == new:
        return True
    if old.expires is None or new.expires is None or replace(old, expires=new.expires) != new:
        return False
    return abs(new.expires - old.expires) <= SLIGHT * (new.expires - now)


def _by_key(cookies: Jar) -> dict[_Key, Cookie]:
    return {cookie.key: cookie for cookie in cookies}


def _values(cookies: Jar) -> dict[_Key, str]:
    return {cookie.key: cookie.value for cookie in cookies}
