"""Cookies by RFC 6265bis: reading Set-Cookie, keeping one record per name, domain and path, choosing what to send."""
