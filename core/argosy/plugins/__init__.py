"""Finds plugins and creates them. Read `manager.py` first. May import hookspecs, interfaces and what they may."""
