"""Finds plugins by name, checks their classes and creates them.

Read `manager.py` first. May import hookspecs, interfaces, the toolkit, models and errors.
"""
