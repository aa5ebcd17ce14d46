"""The lease as test suites: what `argosy.leasing` and `argosy.http` promise on any cookie store."""
