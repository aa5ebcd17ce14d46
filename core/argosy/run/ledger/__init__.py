"""The ledger of a target directory: what is done, in progress and failed."""

from argosy.run.ledger.book import Ledger
from argosy.run.ledger.collected import Collected
from argosy.run.ledger.place import PRIVATE, has_ledger, need_ledger
from argosy.run.ledger.rows import Owner, Row

__all__ = ["PRIVATE", "Collected", "Ledger", "Owner", "Row", "has_ledger", "need_ledger"]
