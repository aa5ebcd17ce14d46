"""The configuration: loaded, checked against one schema of everything installed, and turned into settings.

Start with `argosy.config.load`. Imports `argosy.plugins`, `argosy.storage.location` and the layers below.
"""
