"""Starting a plugin: a package that works, made of a template, with its tests."""

from argosy_devkit.scaffold.package import new_plugin

__all__ = ["new_plugin"]
