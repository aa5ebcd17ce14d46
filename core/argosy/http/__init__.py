"""HTTP with leased tokens. Read `adapter.py`, then `session.py`. May import leasing, ratelimit and what they may."""
