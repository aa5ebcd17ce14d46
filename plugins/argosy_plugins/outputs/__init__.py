"""Outputs: what becomes of an item's finished resources."""
