"""Finds plugins by name, checks their classes and creates them.

Read `manager.py` first. May import hookspecs, interfaces, the toolkit, models and errors.
"""

from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.plugins.manager import PluginManager

__all__ = ["Kind", "Origin", "PluginInfo", "PluginManager"]
