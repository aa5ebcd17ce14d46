"""Tests programs and plugins for argosy: a real server behind a login, with faults on demand, and contract suites."""

from argosy_devkit.bodies import body_of, sha256_of
from argosy_devkit.client import LibraryServer, ServerFactory
from argosy_devkit.fault import FAULT_KINDS, Fault
from argosy_devkit.manifest import Expected
from argosy_devkit.settings import LeaseMode, ServerSettings, TokenCarrier
from argosy_devkit.stats import ServerStats

__all__ = [
    "FAULT_KINDS",
    "Expected",
    "Fault",
    "LeaseMode",
    "LibraryServer",
    "ServerFactory",
    "ServerSettings",
    "ServerStats",
    "TokenCarrier",
    "body_of",
    "sha256_of",
]
