"""Observers: who watches a run."""
