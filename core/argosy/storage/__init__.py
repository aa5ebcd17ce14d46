"""Final files in a local directory, and the URLs of remote ones; plugins store the latter.

Read `local.py` first, then `location.py`. May import interfaces, the toolkit, models and errors.
"""
