"""The shelf: where finished files stand under their final names, on a local disk or in a remote storage."""

from argosy.interfaces.storage import Patience, Shelf, Standing, digest_of
from argosy.storage.local import LocalShelf
from argosy.storage.open import open_shelf, shelf_of

__all__ = ["LocalShelf", "Patience", "Shelf", "Standing", "digest_of", "open_shelf", "shelf_of"]
