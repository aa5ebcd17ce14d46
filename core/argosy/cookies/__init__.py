"""Cookies by RFC 6265bis: parsing, keeping, choosing what to send. May import the toolkit, models and errors."""
