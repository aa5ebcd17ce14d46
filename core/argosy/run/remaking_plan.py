"""The plan of a run that downloads nothing: other outputs of what is done, out of the ledger and the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from argosy.run.ledger import Ledger, Row
from argosy.run.outputs import Outputs
from argosy.run.plan import NOTHING, REMAKE, Plan

if TYPE_CHECKING:
    from argosy.config import Settings


class RemakingPlan(Plan):
    """A plan over all that the ledger says is done; its jobs fetch nothing."""

    fetch = False

    @classmethod
    def of(cls, settings: Settings, ledger: Ledger, outputs: Outputs) -> Self:
        """Return the plan of every done item that has one of the tags asked for.

        Raises
        ------
        ConfigError
            If no item has one of the tags asked for.
        SourceError
            If the outputs ask for one name for two items.
        PluginError
            If an output fails while it names its files.
        """
        plan = cls(ledger, tags=settings.tags, force=settings.force_redownload, outputs=outputs)
        try:
            plan.read((finished.item for finished in ledger.finished()), "ledger")
        except BaseException:
            plan.close()
            raise
        return plan

    def _kind(self, row: tuple[Any, ...], known: Row | None, *, dry: bool) -> int:
        return REMAKE if known is not None and self._lacking(known) else NOTHING

    def _lacking(self, row: Row) -> frozenset[str]:
        return self._outputs.labels if self.force else super()._lacking(row)
