"""What this package registers under the name `redis`: a cookie store and a rate limit."""

from argosy_redis.ratelimit import argosy_ratelimit
from argosy_redis.store import argosy_cookie_store

__all__ = ["argosy_cookie_store", "argosy_ratelimit"]
