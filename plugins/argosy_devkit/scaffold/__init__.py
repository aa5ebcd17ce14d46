"""Starting a plugin: a package that works, made of a template, with its tests."""
