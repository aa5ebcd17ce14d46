"""One run: plan, work, verify, put into place, report."""
