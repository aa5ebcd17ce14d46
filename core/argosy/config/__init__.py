"""The configuration: loaded, checked against one schema of everything installed, and turned into settings.

Read `load.py` first, then `schema.py`. May import plugins, the URLs of storage, and what they may.
"""
