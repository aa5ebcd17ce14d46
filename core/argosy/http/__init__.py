"""HTTP below the run: the adapter that takes the lease, and the session built on it."""
