"""Sources: find the items to download."""
