"""Cookies by RFC 6265bis: parsing Set-Cookie, keeping one cookie per name, domain and path, choosing what to send.

May import the toolkit, models and errors.
"""
