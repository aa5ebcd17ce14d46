"""The registry: finds the installed plugins, checks them, and makes them."""

from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.plugins.manager import PluginManager

__all__ = ["Kind", "Origin", "PluginInfo", "PluginManager"]
