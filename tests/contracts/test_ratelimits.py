"""The built-in rate limit keeps to its contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.ratelimit import RateLimitContract
from argosy_plugins.ratelimits.host import HostRateLimit


class TestHost(RateLimitContract):
    plugin = HostRateLimit

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": "hosts"}
