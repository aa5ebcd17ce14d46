"""The shelf: where finished files stand under their final names, on a local disk or in a remote storage."""

from argosy.interfaces.storage import Existing, Patience, Storage, digest_of
from argosy.storage.local import LocalStorage
from argosy.storage.open import open_storage, storage_of

__all__ = ["Existing", "LocalStorage", "Patience", "Storage", "digest_of", "open_storage", "storage_of"]
