"""What is known of an item, as JSON: for sidecars, and for what lies in an archive."""

from __future__ import annotations

from typing import Any

from argosy.models.items import StagedItem
from argosy.toolkit.redaction import Redactor


def facts(item: StagedItem) -> dict[str, Any]:
    """Return what is known of an item and its files; no URL, as some have a secret in them."""
    return {
        "id": item.item.id,
        "title": item.item.title,
        "tags": list(item.item.tags),
        "metadata": dict(item.item.metadata),
        "files": [
            {"path": file.resource.path, "size": file.size, "sha256": file.sha256} for file in item.files
        ],
    }


def facts_text(item: StagedItem) -> str:
    """Return it as a JSON text for people, without the secrets of an id that is a URL."""
    return Redactor().json(facts(item), indent=2) + "\n"
