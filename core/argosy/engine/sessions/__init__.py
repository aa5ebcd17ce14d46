"""The sessions of a run. Read `provider` first; `pool` is loaded only for more than one session."""
