"""Observers: what shows or records the events of a run."""
