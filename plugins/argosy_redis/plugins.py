"""What this package registers under the name `redis`: a cookie store and a rate limit."""

from __future__ import annotations

import argosy
from argosy.interfaces.cookie_store import CookieStore
from argosy.interfaces.ratelimit import RateLimit
from argosy_redis.ratelimit import RedisRateLimit
from argosy_redis.store import RedisStore


@argosy.hookimpl
def argosy_cookie_store() -> type[CookieStore]:
    """Register the store."""
    return RedisStore


@argosy.hookimpl
def argosy_ratelimit() -> type[RateLimit]:
    """Register the rate limit."""
    return RedisRateLimit
