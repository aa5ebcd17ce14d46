"""The process of a library server: ``python -m argosy.testing.server``, its settings as one JSON line on stdin."""
