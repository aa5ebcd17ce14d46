"""Downloading one resource into staging, over a session that `argosy.http` authorizes.

Start with `download.py` (requests, retries, verification), then `resume.py` (partial files and conditional requests).
May import everything below `argosy.engine`.
"""
