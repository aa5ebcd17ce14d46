"""The work on one item: expand, fetch, verify, output, put into place."""

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
from argosy.engine.publisher import Checked, Publisher
from argosy.engine.reuse import fitting, lacking, missing_text, reused, taken
from argosy.engine.worker_spec import WorkerSpec, work_here
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
from argosy.toolkit.failures import DISK_ERRNOS, describe_exception, disk_error, reason_of
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded
from argosy.transfer.content_disposition import Names
from argosy.transfer.download import Downloader, Report
from argosy.transfer.limits import Limits

T = TypeVar("T")


class Worker:
    """Does one job at a time; any number of threads may call it.

    Parameters
    ----------
    environment
        What the workers of this process share.
    emit
        Takes events.
    recipe
        Returns what another process makes a worker of; pickled, a worker is its recipe.
    """

    def __init__(
        self, environment: RunContext, emit: Emit, recipe: Callable[[], WorkerSpec] | None = None
    ) -> None:
        settings = environment.settings
        self._environment = environment
        self._emit = emit
        self._recipe = recipe
        self._names = Names(settings.directory, environment.storage)
        self._downloader = Downloader(
            environment.pool.get,
            environment.rate_limiter,
            environment.stop,
            Limits.of(settings),
            settings.max_retries,
            settings.retry_delay,
            environment.redactor.redact,
        )

    def __reduce__(self) -> tuple[Callable[[WorkerSpec], Work], tuple[WorkerSpec]]:
        if self._recipe is None:
            raise TypeError("a worker of another process is not sent on")
        return work_here, (self._recipe(),)

    def __call__(self, job: Job) -> Outcome:
        """Do a job; what goes wrong is in the outcome."""
        begun = time.monotonic()
        item = job.item
        received = _Counter()
        shown = self._environment.redactor.scrub(item.id)  # an id may be a URL, with a token in it
        self._environment.working_on(shown)
        self._emit(
            EventKind.ITEM_STARTED,
            shown,
            {"title": item.title, "resources": len(item.resources)},
        )
        failure: Failure | None = None
        fatal: ArgosyError | None = None
        result = _Result()
        try:
            result, state = self._do(job, shown, received), State.DONE
        except Interrupted:
            state = State.REQUEUED
        except ArgosyError as error:  # the session, the store, the auth plugin: not this item's alone
            state, fatal = State.REQUEUED, error
        except OSError as error:
            state, fatal = State.REQUEUED, disk_error(self._environment.settings.directory, error)
        except _Failed as failed:
            state, failure = State.FAILED, failed.failure
        except Exception as error:  # a mistake of ours costs one item, not the run
            state, failure = State.FAILED, self._failure("internal", f"{type(error).__name__}: {error}")
        finally:
            self._environment.working_on(None)
        outcome = Outcome(
            item.id,
            state,
            result.files,
            received.bytes,
            time.monotonic() - begun,
            failure,
            self._scrubbed(fatal),
            result.outputs,
            result.known,
            result.fresh,
        )
        self._emit(
            EventKind.ITEM_FINISHED,
            shown,
            {
                "state": state.value,
                "bytes": outcome.bytes,
                "seconds": round(outcome.seconds, 3),
                "files": len(result.files),
                "failure": failure.message if failure else None,
            },
        )
        return outcome

    def _do(self, job: Job, shown: str, received: _Counter) -> _Result:
        staging = Staging(self._environment.staging, job.item)
        staging.prepare(anew=job.force)
        there = {} if job.force and job.fetch else self._there(job, staging)
        try:
            item, there = self._what_is_lacking(job, there)
            files = self._fetched(item, there, staging, self._report(shown, received))
            staged = self._staged(job, item, files)
            fresh = job.known is None or DownloadRecord.of(staged).digests() != job.known.digests()
            # where something was fetched, what an output made of it before may be missing or damaged, too
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
        """Return the resources that need not be fetched: they stand there, or an output gives them back."""
        storage, known = self._environment.storage, job.known
        there = reused(storage, job, staging)
        if known is None or not lacking(known, there):
            return there
        further = itertools.count(len(self._environment.outputs.of_items))
        for label in dict.fromkeys(file.output for file in job.kept):
            output = self._environment.output(label.partition("#")[0])
            if output is None:
                continue
            made = [file for file in job.kept if file.output == label]
            if any(storage.size(file.name) != file.size for file in made):
                continue
            fetched, scratch = staging.scratch(next(further)), staging.scratch(next(further))
            try:
                files = [storage.at_hand(file.name, fetched) for file in made]
            except TransferError:  # somebody has just taken one away
                continue
            try:
                paths = self._call(
                    output,
                    lambda o=output, f=files, s=scratch: list(o.restore(known.item, f, s)),  # type: ignore[misc]  # a lambda's defaults have no types
                )
            except _Failed:  # its files are damaged, most likely; what it would have given back is lacking
                continue
            for number, path in enumerate(paths[: len(known.files)]):
                if number not in there and isinstance(path, Path):
                    file = taken(known, number, path, staging.kept(number))
                    there.update({} if file is None else {number: file})
        return there

    def _what_is_lacking(self, job: Job, there: dict[int, StagedFile]) -> tuple[Item, dict[int, StagedFile]]:
        """Return the item with all its resources, and those that are there by their number in it."""
        known = job.known
        if known is not None:
            numbers = lacking(known, there)
            if not numbers:
                return known.item, there
            if job.fetch:  # what its source looks up may be elsewhere by now
                item = self._expanded(job.item)
                return item, there if job.item.resources else fitting(item, there)
            raise _Failed(self._failure("missing", missing_text(job, numbers)))
        if not job.fetch:
            raise _Failed(self._failure("missing", missing_text(job, ())))
        return self._expanded(job.item), {}

    def _fetched(
        self, item: Item, there: dict[int, StagedFile], staging: Staging, report: Report
    ) -> list[StagedFile]:
        files: list[StagedFile] = []
        for number, resource in enumerate(item.resources):
            self._environment.stop.check(between=True)
            if number in there:
                files.append(there[number])
                continue
            try:
                last = number == len(item.resources) - 1
                files.append(self._downloader.download(resource, number, staging, report, last=last))
            except TransferError as error:
                raise _Failed(self._failure(error.kind, str(error), url=resource.url)) from None
        return files

    def _staged(self, job: Job, item: Item, files: list[StagedFile]) -> StagedItem:
        """Return the item with the names that its files have got: a server may have given some."""
        staged = tuple(files)
        if any(resource.content_disposition for resource in item.resources):
            staged = self._names.settle(job, item, staged)
            item = replace(item, resources=tuple(file.resource for file in staged))
        return StagedItem(item, staged)

    def _expanded(self, item: Item) -> Item:
        environment = self._environment
        source = environment.source
        if source is None or item.resources:
            return item
        expanded: object = self._call(source, lambda: source.expand(item, environment.pool.http))
        if not isinstance(expanded, Item) or expanded.id != item.id:
            raise self._broken(source.name, "its expand() did not return the same item")
        if not expanded.resources:
            raise _Failed(self._failure("empty", "The item has nothing to download."))
        return expanded

    def _produce(
        self, job: Job, staged: StagedItem, staging: Staging, wanted: frozenset[str] | None
    ) -> tuple[tuple[PublishedFile, ...], tuple[str, ...]]:
        """Let the outputs make what is wanted; nothing is put into place before all of it is made."""
        outputs = self._environment.outputs
        if job.known is not None and DownloadRecord.of(staged).digests() == job.known.digests():
            # what other outputs made of the very same files stays, and is not to be replaced
            job = replace(job, replaces=outputs.replaceable(job.kept, wanted))
        placer = Publisher(self._environment.storage, job, staged, staging.left)
        checked: list[Checked] = []
        made: list[str] = []
        for number, (label, output) in enumerate(outputs.of_items):
            if wanted is not None and label not in wanted:
                continue
            self._environment.stop.check()  # what has been transferred is finished, unless all is to end at once
            scratch = staging.scratch(number)
            products = self._call(output, lambda o=output, s=scratch: list(o.produce(staged, s)))  # type: ignore[misc]  # a lambda's defaults have no types
            try:
                checked += placer.check(products, output.name, label)
            except PluginError as error:
                raise _Failed(self._failure("plugin", str(error), plugin=output.name)) from None
            except TransferError as error:
                raise _Failed(self._failure(error.kind, str(error), plugin=output.name)) from None
            made.append(label)
        # a resource can be told by what is staged; what an output made, only by its digest
        staging.notes.publishing(one.file for one in checked if one.product.file.parent != staging.folder)
        try:
            return tuple(placer.put(checked)), tuple(made)
        except TransferError as error:
            raise _Failed(self._failure(error.kind, str(error))) from None

    def _call(self, called: Plugin, function: Callable[[], T]) -> T:
        """Call a plugin; what it raises fails its item and names it."""
        plugin = called.name
        try:
            return function()
        except TransferError as error:
            raise _Failed(self._failure(error.kind, str(error), plugin=plugin)) from None
        except Downgraded:
            message = (
                f"A request of the plugin {plugin!r} was redirected from https to http. {DOWNGRADE_HINT}"
            )
            raise _Failed(self._failure("downgrade", message, plugin=plugin)) from None
        except requests.RequestException as error:  # an OSError too, but not the disk's
            message = f"The plugin {plugin!r} could not reach the service: {reason_of(error)}."
            raise _Failed(self._failure("lost", message, plugin=plugin)) from None
        except (SessionError, StorageError, ServiceDown, Interrupted):
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
                raise  # it ends the run
            raise self._broken(plugin, f"it raised {describe_exception(error, called)}") from None

    def _broken(self, plugin: str, how: str) -> _Failed:
        return _Failed(
            self._failure(
                "plugin",
                f"The plugin {plugin!r} broke its contract: {how}. Only this item fails.",
                plugin=plugin,
            )
        )

    def _failure(
        self, kind: str, message: str, *, url: str | None = None, plugin: str | None = None
    ) -> Failure:
        scrub = self._environment.redactor.scrub
        return Failure(kind, scrub(message), scrub(url) if url else None, plugin)

    def _scrubbed(self, error: ArgosyError | None) -> ArgosyError | None:
        return None if error is None else self._environment.redactor.scrub_error(error)

    def _report(self, id_: str, received: _Counter) -> Report:
        """Return what emits the events of an item's resources, and counts its bytes."""
        emit, scrub = self._emit, self._environment.redactor.scrub

        def report(kind: EventKind, data: dict[str, Any]) -> None:
            if kind is EventKind.RESOURCE_PROGRESS:
                received.bytes += data["bytes"]
            emit(
                kind,
                id_,
                {key: scrub(value) if key in ("url", "cause") else value for key, value in data.items()},
            )

        return report


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of a job that was done."""

    files: tuple[PublishedFile, ...] = ()
    outputs: tuple[str, ...] = ()
    known: Packed | None = None
    fresh: bool = True


class _Counter:
    """Bytes received for one item."""

    bytes = 0


class _Failed(Exception):
    """Carries the failure of an item to where its outcome is made."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
