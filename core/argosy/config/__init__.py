"""The configuration: read, checked against the schemas of what is installed, and turned into settings."""

from argosy.config.check import check
from argosy.config.load import load, load_file
from argosy.config.schema import compose, editor_schema
from argosy.config.settings import Settings, Timeout
from argosy.config.template import template

__all__ = ["Settings", "Timeout", "check", "compose", "editor_schema", "load", "load_file", "template"]
