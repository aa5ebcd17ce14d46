"""Which cookies of a session are tokens, and what an answer did to them.

A request says with its cookies who asks. What matters of an answer is whether it *replaced* one of those that
were sent: whoever sends the old one then is refused. A cookie that comes for the first time replaces nothing, one
that comes again with its old value and a later end is as good as before, and one that is deleted alone leaves
nothing newer to send: the session is over, or it was a note for one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from argosy.cookies.jar import Jar
from argosy.models.cookie import Cookie

#: A lifetime that moved by less than this share of what is left is not worth a write of the store: a service
#: that prolongs its session with every answer would cost one for every answer.
SLIGHT = 0.1

_Key = tuple[str, str, str, str | None, int | None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The cookies that are tokens.

    Parameters
    ----------
    names
        Their names (``token_cookies``); empty where nobody said, and then all cookies are.
    """

    names: frozenset[str] = frozenset()

    @classmethod
    def named(cls, names: Iterable[str]) -> Tokens:
        """Return the tokens with these names, or with this one."""
        return cls(frozenset([names] if isinstance(names, str) else names))

    def of(self, cookies: Jar) -> Jar:
        """Return those of some cookies that are tokens."""
        return tuple(cookie for cookie in cookies if cookie.name in self.names) if self.names else cookies

    def same(self, one: Jar, other: Jar) -> bool:
        """Return whether two jars have the same tokens, however long these live."""
        return one is other or _values(self.of(one)) == _values(self.of(other))

    def replaced(self, sent: Jar, before: Jar, after: Jar) -> bool:
        """Return whether an answer replaced a token.

        Parameters
        ----------
        sent
            The cookies that the request carried.
        before, after
            The jar it was sent with, and that jar with what the answer brought.

        Returns
        -------
        bool
            Whether a cookie that was sent has another value now, under any domain and path: the old one and
            the new one would go out together. Or it is gone, and one under a new name has come with that.
        """
        sent = self.of(sent)
        if after is before or not sent:
            return False
        old, left = _values(before), _values(after)
        brought = [cookie for cookie in self.of(after) if old.get(cookie.key) != cookie.value]
        names, values = {cookie.name for cookie in sent}, {(cookie.name, cookie.value) for cookie in sent}
        if any(new.name in names and (new.name, new.value) not in values for new in brought):
            return True
        gone = any(cookie.key not in left for cookie in sent)
        return gone and any(new.key not in old for new in brought)

    def merge(self, newest: Jar, before: Jar, after: Jar) -> Jar:
        """Return the newest jar with what an answer brought, where nobody was faster.

        Two requests that overlap may have been sent with the same token, and only one of them with success: what
        the other one brings (the cookie of a stranger, say) must not stand over the token that is good.
        So a change counts only where it is one of what was sent. Named tokens are one set: if
        one of them was replaced since, none is taken.

        Parameters
        ----------
        newest
            The jar that the store has now.
        before, after
            The jar the request was sent with, and that jar with what its answer brought.
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
        """Return whether a session that had tokens has none any more."""
        return not self.of(after) and bool(self.of(before))


#: Nobody said which cookies are tokens.
ALL = Tokens()


def slight(before: Jar, after: Jar, now: float) -> bool:
    """Return whether nothing changed but ends of cookies, and those by little (`now`: seconds since the epoch)."""
    return before is after or (
        len(before) == len(after)
        and all(_is_slight(old, new, now) for old, new in zip(before, after, strict=True))
    )


def _is_slight(old: Cookie, new: Cookie, now: float) -> bool:
    if old == new:
        return True
    if (
        old.expires is None
        or new.expires is None
        or old.to_dict() | {"expires": new.expires} != new.to_dict()
    ):
        return False
    return abs(new.expires - old.expires) <= SLIGHT * (new.expires - now)


def _by_key(cookies: Jar) -> dict[_Key, Cookie]:
    return {cookie.key: cookie for cookie in cookies}


def _values(cookies: Jar) -> Mapping[_Key, str]:
    return {cookie.key: cookie.value for cookie in cookies}
