"""Leases on a session: a token that the service has replaced is never sent.

Read `manager` first, then `lease`. The package imports cookies, interfaces, models, errors and toolkit, and sends nothing.
"""
