"""Sources: where the items come from."""
