"""The sessions of a run. Read `provider.py` first; `pool.py` is loaded only for more than one session."""
