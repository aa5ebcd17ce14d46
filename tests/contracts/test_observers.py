"""The built-in observers keep to their contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy_devkit.contracts.observer import ObserverContract
from argosy_plugins.observers.json_lines import JsonLinesObserver
from argosy_plugins.observers.log import LogObserver
from argosy_plugins.observers.opentelemetry import OpenTelemetryObserver
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


class TestOpenTelemetry(ObserverContract):
    plugin = OpenTelemetryObserver

    @pytest.fixture(autouse=True)
    def no_exporter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
