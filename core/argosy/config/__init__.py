"""The configuration: loaded, checked against one schema of everything installed, and turned into settings.

Read `load.py` first, then `schema.py`. `location.py` is about the URLs of target directories. May import plugins.
"""
