"""Loads and checks a configuration, and makes settings of it. Read `load.py` first. May import plugins."""
