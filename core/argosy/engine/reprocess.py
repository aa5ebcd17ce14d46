"""The run that downloads nothing: other outputs of what is done already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from argosy.engine.context import RunContext
from argosy.engine.plan import Plan, ReprocessPlan
from argosy.engine.run import Run
from argosy.state.ledger import Ledger, need_ledger

if TYPE_CHECKING:
    from argosy.config.settings import Settings


class ReprocessRun(Run):
    """A run that makes other outputs of what is done: no request, no login, no secret.

    Parameters are those of `Run`; of the settings, everything that is about a service is left out.
    """

    def __init__(self, settings: Settings, *args: Any, **options: Any) -> None:
        super().__init__(offline(settings), *args, **options)

    def _look_first(self) -> None:
        need_ledger(self.settings.directory, self.settings.where)

    def _read(self, environment: RunContext, ledger: Ledger) -> Plan:
        ledger.take_over(environment.staging.tidy)  # what a run that died left half made is done
        counts = ledger.counts()
        left = counts.get("pending", 0) + counts.get("failed", 0)
        if left:
            environment.notice(f"Items that are not downloaded yet, and are left out: {left}.")
        return ReprocessPlan.of(self.settings, ledger, environment.outputs)


def offline(settings: Settings) -> Settings:
    """Return settings that need no service, and no secret."""
    return replace(
        settings,
        source=None,
        auth={"use": "none"},
        cookie_store={"use": "memory"},
        sessions=None,
        proxy=None,
        ca_bundle=None,
    )
