"""The built-in observers keep to their contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.observer import ObserverContract
from argosy_plugins.observers.json_lines import JsonLinesObserver
from argosy_plugins.observers.log import LogObserver
from argosy_plugins.observers.progress import ProgressObserver
from argosy_plugins.observers.prometheus import PrometheusObserver


class TestJsonLines(ObserverContract):
    plugin = JsonLinesObserver

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": "events.jsonl"}


class TestLog(ObserverContract):
    plugin = LogObserver


class TestProgress(ObserverContract):
    plugin = ProgressObserver


class TestPrometheus(ObserverContract):
    plugin = PrometheusObserver

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": "argosy.prom"}
