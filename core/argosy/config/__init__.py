"""The configuration: loaded, checked against one schema of everything installed, and turned into settings.

Read `load.py` first, then `schema.py`. May import plugins and the URLs of storage.
"""
