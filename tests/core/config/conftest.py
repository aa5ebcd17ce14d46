"""A registry of small plugins, so that these tests hold whatever is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from argosy import hookimpl
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

SECRET = {"$ref": "argosy:common#/$defs/secret"}
SCHEMAS: dict[Kind, dict[str, dict[str, Any]]] = {
    Kind.SOURCE: {
        "manifest": {
            "properties": {"path": {"type": "string", "description": "The file."}},
            "required": ["path"],
        },
        "urls": {"properties": {"urls": {"type": "array", "items": {"type": "string", "format": "uri"}}}},
    },
    Kind.AUTH: {
        "none": {},
        "form-login": {
            "properties": {
                "url": {"type": "string", "format": "uri", "description": "The login page."},
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
    Kind.OUTPUT: {
        "files": {},
        "zip": {
            "properties": {"level": {"type": "integer", "minimum": 0, "maximum": 9, "default": 6}},
        },
        "open": {"additionalProperties": True},
    },
    Kind.OBSERVER: {"log": {"properties": {"path": {"type": "string"}}}},
}


def plugin(kind: Kind, name: str, schema: dict[str, Any], **attributes: Any) -> object:
    """Return a plugin object that offers a class with an options schema."""
    methods = dict.fromkeys(kind.interface.__abstractmethods__, lambda self, *_: None)
    attributes |= {"name": name, "summary": f"The {name} one", "options_schema": {"type": "object", **schema}}
    cls = type(name.title(), (kind.interface,), {**methods, **attributes})
    return type("Plugin", (), {kind.hook: staticmethod(hookimpl(lambda: cls))})()


@pytest.fixture(scope="session")
def make_plugin() -> Callable[..., object]:
    """Return what makes a plugin object: kind, name, schema."""
    return plugin


@pytest.fixture(scope="session")
def registry() -> PluginManager:
    """Return a registry with plugins of every kind."""
    plugins = []
    for kind, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            extra = {"anonymous": True} if name == "none" else {}
            plugins.append((f"{kind}-{name}", "kit", "1.0", plugin(kind, name, schema, **extra)))
    return PluginManager.of(plugins)
