"""The demonstration: a library of real books on this machine, behind a login, downloaded as you watch."""
