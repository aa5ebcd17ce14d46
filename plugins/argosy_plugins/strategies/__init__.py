"""Strategies: run the jobs one by one, in threads, or in processes."""
