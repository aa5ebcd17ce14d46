"""Limits the requests to each host. Read `limiter.py`. May import interfaces and what they may."""
