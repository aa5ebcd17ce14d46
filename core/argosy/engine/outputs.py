"""The outputs of a run, and the files over all items (an index, a catalog) that some of them make."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests

from argosy.config.schema import default_options
from argosy.engine.publisher import Publisher
from argosy.errors import ArgosyError, PluginError, StorageError, TransferError
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.output import CollectingOutput, Output
from argosy.interfaces.storage import Storage
from argosy.models.items import Item, Job, PublishedFile, StagedItem
from argosy.plugins.kinds import Kind
from argosy.state.ledger import Ledger, Row
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import DISK_ERRNOS, describe_exception, disk_error, reason_of
from argosy.toolkit.locks import FileLock
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

#: Aggregated files are remade this many seconds apart, and take at most this share of a run's time.
AGGREGATE_EVERY, AGGREGATE_SHARE = 2.0, 0.05

#: Seconds to wait for another run that is remaking them.
PATIENCE = 30.0

_ALL_ITEMS = Item("", "")


@contextlib.contextmanager
def plugin_errors(kind: str, plugin: Plugin, hint: str = "Report it to the plugin's author.") -> Iterator[None]:
    """Turn a plugin's own exception into a PluginError, or a TransferError if it could not reach a service."""
    try:
        yield
    except ArgosyError:
        raise
    except Downgraded:
        message = f"A request of the plugin {plugin.name!r} was redirected from https to http."
        raise TransferError(message, kind="downgrade", hint=DOWNGRADE_HINT) from None
    except requests.RequestException as error:
        message = f"The plugin {plugin.name!r} could not reach the service: {reason_of(error)}."
        raise TransferError(message, kind="lost") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise
        what = describe_exception(error, plugin)
        raise PluginError(f"The {kind} {plugin.name!r} failed: {what}.", hint=hint, plugin=plugin.name) from None


def label_of(options: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return the label of an output: ``zip``, or ``zip#d6c8a6ef`` if some options are not the defaults."""
    defaults = default_options(schema)
    own = {k: v for k, v in options.items() if k != "use" and (k not in defaults or defaults[k] != v)}
    digest = hashlib.blake2b(json.dumps(own, sort_keys=True).encode(), digest_size=4).hexdigest()
    return f"{options['use']}#{digest}" if own else str(options["use"])


def plugin_of(label: str) -> str:
    """Return the name of the plugin in a label."""
    return label.partition("#")[0]


class Outputs:
    """The outputs of a run by label; those `of_items` make files of each item."""

    def __init__(self, options: Sequence[Mapping[str, Any]], plugins: PluginManager, context: PluginContext) -> None:
        self.all: dict[str, Output] = {}  # one that is named twice with the same options is one
        for given in options:
            label = label_of(given, plugins.find(Kind.OUTPUT, given["use"]).options_schema)
            if label not in self.all:
                self.all[label] = plugins.make(Output, given, context)
        of_all = CollectingOutput.produce
        self.of_items = {label: made for label, made in self.all.items() if type(made).produce is not of_all}
        self.labels = frozenset(self.of_items)

    def missing(self, row: Row, storage: Storage) -> frozenset[str]:
        """Return the outputs that a done item lacks, or whose files are not all there."""
        gone = {file.output for file in row.files if storage.size(file.name) is None}
        return frozenset(label for label in self.labels if label in gone or label not in row.outputs)

    def replaceable(self, kept: Iterable[PublishedFile], made: frozenset[str] | None) -> frozenset[str]:
        """Return the names of an item's files that those of the outputs in `made` (None for all) may replace.

        The same plugins may have made them with other options, unless the run makes these, too.
        """
        labels = self.labels if made is None else made
        plugins = {plugin_of(label) for label in labels}
        return frozenset(
            file.name
            for file in kept
            if file.output in labels or (file.output not in self.labels and plugin_of(file.output) in plugins)
        )

    def names(self, item: Item, labels: frozenset[str] | None = None) -> Iterator[tuple[Output, list[str]]]:
        """Yield each output, or those of some labels, with the names that it already knows."""
        for label, output in self.of_items.items():
            if labels is None or label in labels:
                with plugin_errors("output", output):
                    names = [str(name) for name in output.names(item)]
                yield output, names


class Aggregator:
    """Remakes the aggregated files from the ledger, under a lock that all runs in the directory respect.

    The ledger learns whose a name is before the file is published, so a run that is killed at any moment leaves a
    complete file, old or new, and the next run can tell which. Only one thread may use it.
    """

    def __init__(self, outputs: Outputs, ledger: Ledger, staging: StagingArea, settings: Settings) -> None:
        self._outputs = {label: output for label, output in outputs.all.items() if isinstance(output, CollectingOutput)}
        self._ledger = ledger
        self._staging = staging
        self._force = settings.force_redownload
        self._shard = settings.shard
        self._lock = FileLock(ledger.private / "collect.lock")
        self._due = time.monotonic() + AGGREGATE_EVERY

    def item_done(self) -> None:
        """Remake the files if it is time and no other run is remaking them."""
        if self._outputs and time.monotonic() >= self._due:
            self.refresh(patience=0.0)

    def refresh(self, *, patience: float = PATIENCE) -> bool:
        """Remake the files that are outdated; return False if another run is remaking them for too long."""
        if not self._outputs:
            return True
        started = time.monotonic()
        while not self._lock.acquire(wait=False):
            if time.monotonic() - started >= patience:
                return False
            time.sleep(0.05)
        try:
            for label, output in self._outputs.items():
                self._make(label, output)
        except OSError as error:
            raise disk_error(self._ledger.private.parent, error) from None
        finally:
            self._lock.release()
            now = time.monotonic()
            self._due = now + max(AGGREGATE_EVERY, (now - started) / AGGREGATE_SHARE)
        return True

    def _make(self, label: str, output: CollectingOutput) -> None:
        changes = self._ledger.changes()  # read first: later changes are for the next time
        published = self._ledger.aggregated(label)
        if published and all(
            file is not None and reflected == changes and self._ledger.storage.size(name) == file.size
            for name, (file, reflected, _) in published.items()
        ):
            return
        own = frozenset(  # also the files of this plugin with other options
            name for name, (_, _, of) in self._ledger.aggregated().items() if plugin_of(of) == output.name
        )
        job = Job(_ALL_ITEMS, own, self._force)
        publisher = Publisher(self._ledger.storage, job, StagedItem(_ALL_ITEMS, ()))
        scratch = self._staging.scratch()
        try:
            with plugin_errors("output", output, "Downloaded files are kept. Report it to the plugin's author."):
                products = list(output.collect(self._ledger.finished(), scratch))
            if self._shard is not None:  # each shard has its own
                products = [replace(product, name=self._shard.mark(product.name)) for product in products]
            checked = publisher.check(products, output.name, label)
            self._ledger.claim_aggregated(label, [one.file.name for one in checked])
            files = publisher.publish(checked)
            self._ledger.storage.settle([file.name for file in files])
            self._ledger.record_aggregated(label, files, changes)
        except TransferError as error:
            raise StorageError(error.message, hint=error.hint) from None
