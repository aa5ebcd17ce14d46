"""Transports: what sends requests."""
