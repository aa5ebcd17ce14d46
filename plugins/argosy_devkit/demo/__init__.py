"""The demo: downloads a library of real books from this machine, behind a login."""
