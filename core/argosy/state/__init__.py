"""The ledger of a target directory, and the staging area of unfinished items.

Read `ledger.py` first, then `staging.py`. May import interfaces, the toolkit, models and errors.
"""
