"""The commands ``argosy gateway`` and ``argosy run``: a reverse proxy that gives the lease to requests of any program.

Read `server.py` first: it passes requests to the session of `argosy.open_session`, which knows the rules of the lease.
`routes.py` maps URLs, `fields.py` decides which header fields pass, `door.py` keeps others out. Needs aiohttp.
"""
