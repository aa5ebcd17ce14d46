"""Leases on a session; sends nothing. Read `manager.py` first. May import cookies, interfaces and what they may."""
