"""``argosy plan``: how many workers and sessions a download can use, by measuring a few requests and simulating the rest."""
