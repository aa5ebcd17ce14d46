"""The process of a library server: ``python -m argosy_devkit.server``, its settings as one JSON line on stdin."""
