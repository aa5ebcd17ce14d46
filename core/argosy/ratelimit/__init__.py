"""Limits requests to each host: delays, Retry-After, outages. Read `limiter` first.

The states of hosts are kept by a `RateLimit` plugin, or per process.
"""
