"""Leases on a session: a token that the service has replaced is never sent.

Read `manager.py` first, then `lease.py`. May import cookies, interfaces, the toolkit, models and errors; it sends nothing.
"""
