"""Limits on the requests to each host: delays, Retry-After, outages. A `RateLimit` plugin may share them.

Read `limiter.py`. May import interfaces, the toolkit, models and errors.
"""
