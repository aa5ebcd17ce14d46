"""One run. Read `run.py`, `plan.py`, `worker.py`, `publisher.py`. May import all of the core but `api` and `cli`."""
