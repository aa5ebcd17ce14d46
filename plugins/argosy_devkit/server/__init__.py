"""The process of a library server: ``python -m argosy_devkit.server`` with its settings as one JSON line on stdin."""
