"""The work on one item: expand, download, make outputs, publish. Read `Worker._do` first."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.engine.context import RunContext
from argosy.engine.outputs import plugin_errors, plugin_of
from argosy.engine.publisher import Checked, Publisher
from argosy.errors import ArgosyError, Interrupted, PluginError, ServiceDown, SessionError, StorageError, TransferError
from argosy.events import Emit, EventKind
from argosy.interfaces.base import Plugin
from argosy.interfaces.strategy import Work
from argosy.models.items import (
    DownloadRecord,
    Failure,
    Item,
    Job,
    Outcome,
    PublishedFile,
    StagedFile,
    StagedItem,
    State,
)
from argosy.state.staging import Staging
from argosy.toolkit.failures import blame, disk_error
from argosy.toolkit.files import linked
from argosy.transfer.download import Downloader, Report
from argosy.transfer.limits import Limits
from argosy.transfer.names import Names

if TYPE_CHECKING:
    from argosy.engine.ipc import WorkerSpec


class Worker:
    """Does jobs, for any number of threads; pickled as its `spec`, from which another process creates a worker."""

    def __init__(self, context: RunContext, emit: Emit, spec: Callable[[], WorkerSpec]) -> None:
        settings = context.settings
        self._context = context
        self._emit = emit
        self._spec = spec
        self._names = Names(settings.directory, context.storage)
        self._downloader = Downloader(
            context.pool.get, context.rate_limiter, context.stop, Limits(settings), context.redactor.redact
        )

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], Work], tuple[WorkerSpec]]:
        from argosy.engine.ipc import work_here  # most runs have no worker processes

        return work_here, (self._spec(),)

    def __call__(self, job: Job) -> Outcome:
        """Do a job; errors are in the outcome, without secrets."""
        started = time.monotonic()
        item = job.item
        received = 0

        def report(kind: EventKind, data: dict[str, Any]) -> None:
            nonlocal received
            if kind is EventKind.RESOURCE_PROGRESS:
                received += data["bytes"]
            self._emit(kind, item.id, data)

        self._context.working_on(item.id)
        self._emit(EventKind.ITEM_STARTED, item.id, {"title": item.title, "resources": len(item.resources)})
        try:
            outcome = self._do(job, report)
        except (Exception, SystemExit) as error:
            outcome = self._failed(item.id, error)
        finally:
            self._context.working_on(None)
        return replace(outcome, bytes=received, seconds=time.monotonic() - started)

    def _failed(self, id_: str, error: BaseException) -> Outcome:
        """Return the outcome of an error: it fails the item, or ends the run and leaves the item for the next."""
        redactor = self._context.redactor
        if isinstance(error, Interrupted):
            return Outcome(id_, State.REQUEUED)
        if isinstance(error, TransferError):
            facts: dict[str, Any] = {
                name: getattr(error, name, None) for name in ("kind", "url", "plugin", "path", "hint")
            }
            failure = Failure(message=redactor.scrub(str(error)), **redactor.scrub(facts))
            return Outcome(id_, State.FAILED, failure=failure)
        if isinstance(error, ArgosyError):  # of the session, the store or the auth plugin
            fatal = error
        elif isinstance(error, OSError):
            fatal = disk_error(self._context.settings.directory, error)
        elif (blamed := blame(error, self._context.plugins)) is not None:
            fatal = blamed  # such as a cookie store in the middle of a lease
        elif isinstance(error, SystemExit):
            raise error
        else:  # a bug of argosy costs one item
            return self._failed(id_, TransferError(f"{type(error).__name__}: {error}", kind="internal"))
        return Outcome(id_, State.REQUEUED, fatal=redactor.scrub_error(fatal))

    def _do(self, job: Job, report: Report) -> Outcome:
        staging = Staging(self._context.staging, job.item)
        if job.force:
            staging.clear()
        try:
            there = {} if job.force and job.fetch else self._reuse(job, staging)
            item, there = self._expand(job, there)
            complete = len(there) == len(item.resources)
            staged = self._stage(job, item, there, staging, report)
            record = DownloadRecord.of(staged)
            fresh = job.known is None or record.digests() != job.known.digests()
            # if something was downloaded, files that outputs made of it may be missing or damaged, too
            labels = job.outputs if complete and not fresh else None
            files, made = self._publish(job, staged, staging, labels, fresh=fresh)
        except BaseException:
            with contextlib.suppress(OSError):
                staging.notes.flush()
                if job.known is not None:
                    staging.let_go()
            raise
        known = record.pack() if fresh else None
        return Outcome(item.id, State.DONE, files, outputs=made, known=known, fresh=fresh, staged=staging.names())

    def _reuse(self, job: Job, staging: Staging) -> dict[int, StagedFile]:
        """Link published or restored resources into staging, so that they cannot disappear; return them by number."""
        area, storage, known = self._context.staging, self._context.storage, job.known
        there: dict[int, StagedFile] = {}
        if known is None:
            return there
        for number, (size, digest, _, _) in enumerate(known.files):
            kept = staging.kept(number)
            same = (file for file in job.kept if (file.size, file.sha256) == (size, digest))
            if any(storage.take(file, kept) for file in same):
                there[number] = _staged(known, number, kept)
        numbers = itertools.count(len(self._context.outputs.of_items))
        for label in dict.fromkeys(file.output for file in job.kept):
            if len(there) == len(known.files):
                break
            output = self._context.output(plugin_of(label))
            made = [file for file in job.kept if file.output == label]
            if output is None or any(storage.size(file.name) != file.size for file in made):
                continue
            copies, scratch = area.scratch(next(numbers)), area.scratch(next(numbers))
            try:
                with self._plugin_fails_item(output):
                    files = [storage.at_hand(file.name, copies) for file in made]
                    paths = list(output.restore(known.item, files, scratch))
            except TransferError:  # a file was just removed, or is damaged
                continue
            for number, path in enumerate(paths[: len(known.files)]):
                size, digest, _, _ = known.files[number]
                kept = staging.kept(number)
                if number not in there and isinstance(path, Path) and linked(path, kept, size, digest):
                    there[number] = _staged(known, number, kept)
        return there

    def _expand(self, job: Job, there: dict[int, StagedFile]) -> tuple[Item, dict[int, StagedFile]]:
        """Return the item with all its resources, and the staged ones by number."""
        if job.known is not None and len(there) == len(job.known.files):
            return job.known.item, there
        if not job.fetch:
            raise TransferError(_missing_text(job, there), kind="missing")
        source, item = self._context.source, job.item
        if source is None or item.resources:
            return item, there
        with self._plugin_fails_item(source):
            expanded: object = source.expand(item, self._context.pool.http)
            if not isinstance(expanded, Item) or expanded.id != item.id:
                raise PluginError(f"The source {source.name!r} did not expand an item to the same item.")
        if not expanded.resources:
            raise TransferError("The item has nothing to download.", kind="empty")
        return expanded, _same_resources(expanded, there)  # its URLs may be new

    def _stage(
        self, job: Job, item: Item, there: dict[int, StagedFile], staging: Staging, report: Report
    ) -> StagedItem:
        """Download the missing resources; return the item with its final names, some of which a server may choose."""
        files: list[StagedFile] = []
        for number, resource in enumerate(item.resources):
            self._context.stop.check(between=True)
            if number not in there:
                is_last = number == len(item.resources) - 1
                try:
                    there[number] = self._downloader.download(resource, number, staging, report, last=is_last)
                except TransferError as error:
                    where = {"url": resource.url, "path": item.names()[number]}
                    raise TransferError(error.message, hint=error.hint, kind=error.kind, **where) from None
            files.append(there[number])
        staged = tuple(files)
        if any(resource.content_disposition for resource in item.resources):
            staged = tuple(self._names.settle(job, item, file) for file in staged)
            item = replace(item, resources=tuple(file.resource for file in staged))
        return StagedItem(item, staged)

    def _publish(
        self, job: Job, staged: StagedItem, staging: Staging, labels: frozenset[str] | None, *, fresh: bool
    ) -> tuple[tuple[PublishedFile, ...], tuple[str, ...]]:
        """Let the outputs of these labels (None for all) make their files, and publish them; return both."""
        outputs = self._context.outputs
        if not fresh:  # keep what other outputs made of identical resources
            job = replace(job, replaces=outputs.replaceable(job.kept, labels))
        syncs_files = self._context.settings.syncs_files
        area = self._context.staging
        publisher = Publisher(self._context.storage, job, staged, staging.left, syncs_files=syncs_files)
        checked: list[Checked] = []
        made: list[str] = []
        for number, (label, output) in enumerate(outputs.of_items.items()):
            if labels is not None and label not in labels:
                continue
            self._context.stop.check()  # a draining run still finishes downloaded items
            scratch = area.scratch(number) if output.makes_files else area.folder
            with self._plugin_fails_item(output):
                products = list(output.produce(staged, scratch))
            try:
                checked += publisher.check(products, output.name, label)
            except (TransferError, PluginError) as error:
                raise _failed_by(output, error) from None
            made.append(label)
        # after a kill, the next run identifies resources by staged files, and other products by these notes
        staging.notes.publishing(one.file for one in checked if one.product.file.parent != area.path)
        return tuple(publisher.publish(checked)), tuple(made)

    @contextlib.contextmanager
    def _plugin_fails_item(self, plugin: Plugin) -> Iterator[None]:
        """Let an exception of a plugin fail the item, unless it is of the session, the storage or the disk."""
        try:
            with plugin_errors("plugin", plugin, "Only this item fails."):
                yield
        except (SessionError, StorageError, ServiceDown, Interrupted):
            raise
        except ArgosyError as error:
            raise _failed_by(plugin, error) from None


def _failed_by(plugin: Plugin, error: ArgosyError) -> TransferError:
    """Return the error of an item that a plugin fails."""
    text = str(error)
    if not isinstance(error, (TransferError, PluginError)):  # its text does not name the plugin
        text = f"The plugin {plugin.name!r} failed: {text}"
    return TransferError(text, kind=getattr(error, "kind", "plugin"), plugin=plugin.name)


def _same_resources(item: Item, there: dict[int, StagedFile]) -> dict[int, StagedFile]:
    """Return by number the staged files with the path, size and digests of a resource of an item expanded again."""
    by_path = {file.resource.path: file for file in there.values()}
    return {
        number: file
        for number, resource in enumerate(item.resources)
        if (file := by_path.get(resource.path)) is not None
        and resource.size in (None, file.size)
        and dict(resource.digests) == dict(file.resource.digests)
    }


def _missing_text(job: Job, there: dict[int, StagedFile]) -> str:
    """Return the message for an item whose resources cannot all be staged."""
    known = enumerate(job.known.files if job.known else ())
    lost = {(size, digest) for number, (size, digest, *_) in known if number not in there}
    names = [file.name for file in job.kept if (file.size, file.sha256) in lost]
    shown = f": {', '.join(names[:5])}" if names else ""
    return f"Downloaded files are missing or were changed{shown}; `argosy download` fetches them again."


def _staged(known: DownloadRecord, number: int, path: Path) -> StagedFile:
    size, digest, verification, response = known.files[number]
    return StagedFile(known.item.resources[number], path, size, digest, verification, response)
