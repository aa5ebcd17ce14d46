"""HTTP with leased tokens: a requests adapter, and the sessions built on it.

Start with `adapter.py` and `hop.py` (one request under a lease), then `session.py` (refusals, logins,
redirects); transports are plugins. May import `argosy.leasing`, `argosy.ratelimit` and what they may; not the engine.
"""
