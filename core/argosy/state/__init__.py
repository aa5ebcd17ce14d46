"""The ledger of a target directory: what is done, in progress and failed."""

from argosy.state.ledger import PRIVATE, Collected, Ledger, Owner, Row, has_ledger, need_ledger

__all__ = ["PRIVATE", "Collected", "Ledger", "Owner", "Row", "has_ledger", "need_ledger"]
