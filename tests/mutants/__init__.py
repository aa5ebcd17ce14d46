"""Managers, adapters, stores and strategies with one rule taken out each: the suites must notice every one of them."""
