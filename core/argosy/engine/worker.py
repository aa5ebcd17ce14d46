"""The work on one item: expand, download, make outputs, publish."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import requests

from argosy.engine.context import RunContext
from argosy.engine.ipc import WorkerSpec, work_here
from argosy.engine.publisher import Checked, Publisher
from argosy.engine.reuse import fitting, lacking, missing_text, reused, taken
from argosy.errors import (
    ArgosyError,
    Interrupted,
    PluginError,
    ServiceDown,
    SessionError,
    StorageError,
    TransferError,
)
from argosy.events import Emit, EventKind
from argosy.interfaces.base import Plugin
from argosy.interfaces.strategy import Work
from argosy.models.items import (
    DownloadRecord,
    Failure,
    Item,
    Job,
    Outcome,
    Packed,
    PublishedFile,
    StagedFile,
    StagedItem,
    State,
)
from argosy.state.staging import Staging
from argosy.toolkit.failures import DISK_ERRNOS, blame, describe_exception, disk_error, reason_of
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded
from argosy.transfer.content_disposition import Names
from argosy.transfer.download import Downloader, Report
from argosy.transfer.limits import Limits

T = TypeVar("T")


class Worker:
    """Does one job at a time; any number of threads may call it.

    Parameters
    ----------
    context
        The context of this process.
    emit
        Takes events.
    spec
        Returns what another process needs to create a worker: a worker is pickled as its spec.
    """

    def __init__(self, context: RunContext, emit: Emit, spec: Callable[[], WorkerSpec] | None = None) -> None:
        settings = context.settings
        self._context = context
        self._emit = emit
        self._spec = spec
        self._names = Names(settings.directory, context.storage)
        self._downloader = Downloader(
            context.pool.get,
            context.rate_limiter,
            context.stop,
            Limits.of(settings),
            settings.max_retries,
            settings.retry_delay,
            context.redactor.redact,
        )

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], Work], tuple[WorkerSpec]]:
        if self._spec is None:
            raise TypeError("a worker of another process cannot be pickled")
        return work_here, (self._spec(),)

    def __call__(self, job: Job) -> Outcome:
        """Do a job; errors are in the outcome, without secrets."""
        begun = time.monotonic()
        item = job.item
        received = _Counter()
        self._context.working_on(item.id)
        self._emit(EventKind.ITEM_STARTED, item.id, {"title": item.title, "resources": len(item.resources)})
        failure: Failure | None = None
        fatal: ArgosyError | None = None
        result = _Result()
        try:
            result, state = self._do(job, received), State.DONE
        except Interrupted:
            state = State.REQUEUED
        except ArgosyError as error:  # of the session, the store or the auth plugin
            state, fatal = State.REQUEUED, error
        except OSError as error:
            state, fatal = State.REQUEUED, disk_error(self._context.settings.directory, error)
        except _Failed as failed:
            state, failure = State.FAILED, failed.failure
        except (Exception, SystemExit) as error:
            fatal = blame(error, self._context.plugins())  # such as a cookie store in the middle of a lease
            if fatal is not None:
                state = State.REQUEUED
            elif isinstance(error, SystemExit):
                raise
            else:  # a bug of argosy costs one item, not the run
                state, failure = State.FAILED, Failure("internal", f"{type(error).__name__}: {error}")
        finally:
            self._context.working_on(None)
        outcome = Outcome(
            item.id,
            state,
            result.files,
            received.bytes,
            time.monotonic() - begun,
            None if failure is None else self._without_secrets(failure),
            None if fatal is None else self._context.redactor.scrub_error(fatal),
            result.outputs,
            result.known,
            result.fresh,
        )
        self._emit(
            EventKind.ITEM_FINISHED,
            item.id,
            {
                "state": state.value,
                "bytes": outcome.bytes,
                "seconds": round(outcome.seconds, 3),
                "files": len(result.files),
                "failure": failure.message if failure else None,
            },
        )
        return outcome

    def _do(self, job: Job, received: _Counter) -> _Result:
        staging = Staging(self._context.staging, job.item)
        staging.prepare(anew=job.force)
        there = {} if job.force and job.fetch else self._there(job, staging)
        try:
            item, there = self._what_is_lacking(job, there)
            files = self._fetched(item, there, staging, self._report(job.item.id, received))
            staged = self._staged(job, item, files)
            fresh = job.known is None or DownloadRecord.of(staged).digests() != job.known.digests()
            # if something was fetched, files that outputs made of it may be missing or damaged, too
            wanted = None if fresh or len(there) < len(files) else job.outputs
            kept, outputs = self._produce(job, staged, staging, wanted)
        except BaseException:
            with contextlib.suppress(OSError):
                staging.notes.flush()
                if job.known is not None:
                    staging.let_go()
            raise
        known = DownloadRecord.of(staged).pack() if fresh else None
        return _Result(kept, outputs, known, fresh)

    def _there(self, job: Job, staging: Staging) -> dict[int, StagedFile]:
        """Return the resources that exist already: published, or restored by an output."""
        storage, known = self._context.storage, job.known
        there = reused(storage, job, staging)
        if known is None or not lacking(known, there):
            return there
        further = itertools.count(len(self._context.outputs.of_items))
        for label in dict.fromkeys(file.output for file in job.kept):
            output = self._context.output(label.partition("#")[0])
            if output is None:
                continue
            made = [file for file in job.kept if file.output == label]
            if any(storage.size(file.name) != file.size for file in made):
                continue
            fetched, scratch = staging.scratch(next(further)), staging.scratch(next(further))
            try:
                files = [storage.at_hand(file.name, fetched) for file in made]
            except TransferError:  # one was removed just now
                continue
            try:
                paths = self._call(
                    output,
                    lambda o=output, f=files, s=scratch: list(o.restore(known.item, f, s)),  # type: ignore[misc]  # a lambda's defaults have no types
                )
            except _Failed:  # its files are probably damaged
                continue
            for number, path in enumerate(paths[: len(known.files)]):
                if number not in there and isinstance(path, Path):
                    file = taken(known, number, path, staging.kept(number))
                    there.update({} if file is None else {number: file})
        return there

    def _what_is_lacking(self, job: Job, there: dict[int, StagedFile]) -> tuple[Item, dict[int, StagedFile]]:
        """Return the item with all its resources, and the existing ones by number."""
        known = job.known
        if known is not None:
            numbers = lacking(known, there)
            if not numbers:
                return known.item, there
            if job.fetch:  # its URLs may have changed
                item = self._expanded(job.item)
                return item, there if job.item.resources else fitting(item, there)
            raise _Failed(Failure("missing", missing_text(job, numbers)))
        if not job.fetch:
            raise _Failed(Failure("missing", missing_text(job, ())))
        return self._expanded(job.item), {}

    def _fetched(
        self, item: Item, there: dict[int, StagedFile], staging: Staging, report: Report
    ) -> list[StagedFile]:
        files: list[StagedFile] = []
        for number, resource in enumerate(item.resources):
            self._context.stop.check(between=True)
            if number in there:
                files.append(there[number])
                continue
            try:
                last = number == len(item.resources) - 1
                files.append(self._downloader.download(resource, number, staging, report, last=last))
            except TransferError as error:
                raise _Failed(Failure(error.kind, str(error), url=resource.url)) from None
        return files

    def _staged(self, job: Job, item: Item, files: list[StagedFile]) -> StagedItem:
        """Return the item with its final names, some of which a server may choose."""
        staged = tuple(files)
        if any(resource.content_disposition for resource in item.resources):
            staged = self._names.settle(job, item, staged)
            item = replace(item, resources=tuple(file.resource for file in staged))
        return StagedItem(item, staged)

    def _expanded(self, item: Item) -> Item:
        context = self._context
        source = context.source
        if source is None or item.resources:
            return item
        expanded: object = self._call(source, lambda: source.expand(item, context.pool.http))
        if not isinstance(expanded, Item) or expanded.id != item.id:
            raise self._broken(source.name, "its expand() did not return the same item")
        if not expanded.resources:
            raise _Failed(Failure("empty", "The item has nothing to download."))
        return expanded

    def _produce(
        self, job: Job, staged: StagedItem, staging: Staging, wanted: frozenset[str] | None
    ) -> tuple[tuple[PublishedFile, ...], tuple[str, ...]]:
        """Let the outputs make all files, then publish them."""
        outputs = self._context.outputs
        if job.known is not None and DownloadRecord.of(staged).digests() == job.known.digests():
            # keep what other outputs made of identical resources
            job = replace(job, replaces=outputs.replaceable(job.kept, wanted))
        publisher = Publisher(self._context.storage, job, staged, staging.left)
        checked: list[Checked] = []
        made: list[str] = []
        for number, (label, output) in enumerate(outputs.of_items):
            if wanted is not None and label not in wanted:
                continue
            self._context.stop.check()  # a draining run still finishes what it has downloaded
            scratch = staging.scratch(number)
            products = self._call(output, lambda o=output, s=scratch: list(o.produce(staged, s)))  # type: ignore[misc]  # a lambda's defaults have no types
            try:
                checked += publisher.check(products, output.name, label)
            except PluginError as error:
                raise _Failed(Failure("plugin", str(error), plugin=output.name)) from None
            except TransferError as error:
                raise _Failed(Failure(error.kind, str(error), plugin=output.name)) from None
            made.append(label)
        # after a kill, the next run identifies resources by staged files, and other products by these notes
        staging.notes.publishing(one.file for one in checked if one.product.file.parent != staging.folder)
        try:
            return tuple(publisher.put(checked)), tuple(made)
        except TransferError as error:
            raise _Failed(Failure(error.kind, str(error))) from None

    def _call(self, called: Plugin, function: Callable[[], T]) -> T:
        """Call a plugin; an exception fails the item and names the plugin."""
        plugin = called.name
        try:
            return function()
        except TransferError as error:
            raise _Failed(Failure(error.kind, str(error), plugin=plugin)) from None
        except Downgraded:
            message = (
                f"A request of the plugin {plugin!r} was redirected from https to http. {DOWNGRADE_HINT}"
            )
            raise _Failed(Failure("downgrade", message, plugin=plugin)) from None
        except requests.RequestException as error:  # an OSError, but not of the disk
            message = f"The plugin {plugin!r} could not reach the service: {reason_of(error)}."
            raise _Failed(Failure("lost", message, plugin=plugin)) from None
        except (SessionError, StorageError, ServiceDown, Interrupted):
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
                raise  # ends the run
            raise self._broken(plugin, f"it raised {describe_exception(error, called)}") from None

    def _broken(self, plugin: str, how: str) -> _Failed:
        return _Failed(
            Failure(
                "plugin",
                f"The plugin {plugin!r} broke its contract: {how}. Only this item fails.",
                plugin=plugin,
            )
        )

    def _without_secrets(self, failure: Failure) -> Failure:
        scrub = self._context.redactor.scrub
        return replace(
            failure, message=scrub(failure.message), url=None if failure.url is None else scrub(failure.url)
        )

    def _report(self, id_: str, received: _Counter) -> Report:
        """Return what emits the events of an item's resources, and counts its bytes."""

        def report(kind: EventKind, data: dict[str, Any]) -> None:
            if kind is EventKind.RESOURCE_PROGRESS:
                received.bytes += data["bytes"]
            self._emit(kind, id_, data)

        return report


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a finished job."""

    files: tuple[PublishedFile, ...] = ()
    outputs: tuple[str, ...] = ()
    known: Packed | None = None
    fresh: bool = True


class _Counter:
    """Bytes received for one item."""

    bytes = 0


class _Failed(Exception):
    """Carries the failure of an item to its outcome."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
