"""Politeness: when the next request to a host may start, over all programs of this user on this machine."""

from argosy.ratelimit.limiter import Permit, RateLimiter

__all__ = ["Permit", "RateLimiter"]
