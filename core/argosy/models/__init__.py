"""The values that argosy and its plugins exchange. Read `items.py` and `session.py` first. May import errors."""

from argosy.models.cookie import Cookie
from argosy.models.items import (
    FinishedItem,
    Item,
    Product,
    PublishedFile,
    Resource,
    StagedFile,
    StagedItem,
    Verification,
)
from argosy.models.response_record import ResponseRecord
from argosy.models.session import Carrier, HeaderToken, Holder, SessionRecord, Signer, Status, origin_of

__all__ = [
    "Carrier", "Cookie", "FinishedItem", "HeaderToken", "Holder", "Item", "Product", "PublishedFile",
    "Resource", "ResponseRecord", "SessionRecord", "Signer", "StagedFile", "StagedItem", "Status",
    "Verification", "origin_of",
]  # fmt: skip
