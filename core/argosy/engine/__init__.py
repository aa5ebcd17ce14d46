"""One run: plan, work, publish, report. Read `run.py` first, then `plan.py`, `worker.py` and `publisher.py`.

May import everything of the core but `argosy.api` and `argosy.cli`.
"""
