"""Politeness: when the next request to a host may start, over all programs of this user on this machine."""

from argosy.pacing.pacer import Pacer, Turn
from argosy.pacing.place import place_of

__all__ = ["Pacer", "Turn", "place_of"]
