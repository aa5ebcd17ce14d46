"""Strategies: where the work runs, and how much of it at once."""
