"""For tests of programs that use argosy, and of its plugins: a real server behind a login, with faults on demand."""

from argosy.testing.bodies import body_of, sha256_of
from argosy.testing.client import LibraryServer, ServerFactory
from argosy.testing.fault import FAULT_KINDS, Fault
from argosy.testing.manifest import Expected
from argosy.testing.settings import Discipline, ServerSettings
from argosy.testing.stats import ServerStats

__all__ = [
    "FAULT_KINDS",
    "Discipline",
    "Expected",
    "Fault",
    "LibraryServer",
    "ServerFactory",
    "ServerSettings",
    "ServerStats",
    "body_of",
    "sha256_of",
]
