"""The facts about an item as JSON, for sidecars and archives."""

from __future__ import annotations

from typing import Any

from argosy.models.items import StagedItem
from argosy.toolkit.redaction import Redactor


def facts(item: StagedItem) -> dict[str, Any]:
    """Return the facts about an item and its files; no URLs, because they may contain secrets."""
    return {
        "id": item.item.id,
        "title": item.item.title,
        "tags": list(item.item.tags),
        "metadata": dict(item.item.metadata),
        "files": [{"path": file.resource.path, "size": file.size, "sha256": file.sha256} for file in item.files],
    }


def facts_text(item: StagedItem) -> str:
    """Return the facts as readable JSON, with secrets in an id that is a URL removed."""
    return Redactor().json(facts(item), indent=2) + "\n"
