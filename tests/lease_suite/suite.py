"""What the suites of the lease share."""

from __future__ import annotations

from typing import ClassVar

from argosy.leasing.manager import SessionManager
from argosy_devkit.contracts.store_suite import StoreSuite


class LeaseSuite(StoreSuite):
    """The lease on a store that keeps its contract."""

    documented: ClassVar[str] = "The lease (docs/explanation/the-lease.md)"
    #: What grants leases; `tests/contracts/test_mutants.py` tries managers that break one rule each.
    manager_class: ClassVar[type[SessionManager]] = SessionManager
