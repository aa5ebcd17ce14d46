"""The command line, ``argosy``: one module per command.

Read `program.py` first. May import everything in the core.
"""

from argosy.cli.program import main

__all__ = ["main"]
