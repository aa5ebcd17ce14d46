"""Small plugins, so that these tests hold whatever is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from argosy.interfaces.base import Plugin
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

SECRET = {"$ref": "argosy:common#/$defs/secret"}
SCHEMAS: dict[Kind, dict[str, dict[str, Any]]] = {
    Kind.SOURCE: {
        "manifest": {
            "properties": {"path": {"type": "string", "description": "The file."}},
            "required": ["path"],
        },
        "urls": {"properties": {"urls": {"type": "array", "items": {"type": "string"}}}},
    },
    Kind.AUTH: {
        "none": {},
        "form-login": {
            "properties": {
                "url": {"type": "string", "pattern": r"^https?://\S+$", "description": "The login page."},
                "fields": {"$ref": "#/$defs/fields"},
                "method": {"enum": ["POST", "GET"], "default": "POST"},
            },
            "required": ["url"],
            "$defs": {
                "fields": {
                    "type": "object",
                    "additionalProperties": {"anyOf": [{"type": "string"}, SECRET]},
                }
            },
        },
        "bearer": {"properties": {"token": SECRET}, "required": ["token"]},
    },
    Kind.COOKIE_STORE: {
        "memory": {},
        "json-file": {"properties": {"path": {"type": "string", "default": "cookies.json"}}},
    },
    Kind.STRATEGY: {"serial": {}, "threads": {}},
    Kind.RATELIMIT: {"host": {}},
    Kind.TRANSPORT: {"requests": {}},
    Kind.OUTPUT: {
        "files": {},
        "zip": {
            "properties": {"level": {"type": "integer", "minimum": 0, "maximum": 9, "default": 6}},
        },
        "open": {"additionalProperties": True},
    },
    Kind.OBSERVER: {"log": {"properties": {"path": {"type": "string"}}}},
}


def plugin(kind: Kind, name: str, schema: dict[str, Any], **attributes: Any) -> type[Plugin]:
    """Return a plugin class with an options schema."""
    methods = dict.fromkeys(kind.interface.__abstractmethods__, lambda self, *_: None)
    attributes |= {"name": name, "summary": f"The {name} one", "options_schema": {"type": "object", **schema}}
    return type(name.title(), (kind.interface,), {**methods, **attributes})


@pytest.fixture(scope="session")
def make_plugin() -> Callable[..., type[Plugin]]:
    """Return what makes a plugin class: kind, name, schema."""
    return plugin


@pytest.fixture(scope="session")
def plugins() -> PluginManager:
    """Return plugins of every kind."""
    given = []
    for kind, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            extra = {"anonymous": True} if name == "none" else {}
            given.append(plugin(kind, name, schema, **extra))
    return PluginManager(["argosy"], given=given)
