"""Downloading one resource into staging, over a session that `argosy.http` authorizes.

Start with `download.py` (requests, attempts, retries), then `resume.py` (partial files and conditional requests) and
`verify.py` (sizes and digests). May import everything below `argosy.engine`.
"""
