"""The ledger and the staging area. Read `ledger.py` first. May import interfaces and what they may."""
