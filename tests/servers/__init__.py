"""Services made with other people's libraries, for tests that must not rest on our own server alone.

Each module has a `make_app(rules, counts, folder)`, which returns a WSGI application, and is a program that serves it: so
every server is a process of its own. `service.start` starts one; `serving` is what such a program is made of.
"""
