"""Finds plugins by name, checks their classes and creates them; start with `argosy.plugins.manager`."""

from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.plugins.manager import PluginManager

__all__ = ["Kind", "Origin", "PluginInfo", "PluginManager"]
