"""The registry: finds the installed plugins, checks them, and makes them."""

from argosy.registry.facade import Registry
from argosy.registry.kinds import Kind, Origin, PluginInfo

__all__ = ["Kind", "Origin", "PluginInfo", "Registry"]
