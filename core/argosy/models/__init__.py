"""Values that argosy and its plugins exchange: items, cookies, session records, states of hosts."""
