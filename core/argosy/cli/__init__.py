"""The command line: ``argosy``."""

from argosy.cli.program import main

__all__ = ["main"]
