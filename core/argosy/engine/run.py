"""One run, from settings to a report: open, plan, work, finish. Read `Run.execute` first."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, cast

from argosy.engine.context import RunContext, ask_safely, choose
from argosy.engine.observers import ObserverDispatcher
from argosy.engine.outputs import Aggregator, plugin_errors
from argosy.engine.plan import Plan, Planned, Select, need_source
from argosy.engine.recorder import Recorder
from argosy.engine.report import MOST_FAILURES, Counts, Report
from argosy.engine.worker import Worker
from argosy.errors import ArgosyError, Interrupted
from argosy.events import Event, EventKind
from argosy.interfaces.base import Plugin
from argosy.interfaces.observer import Observer
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Failure, Job, Outcome, State
from argosy.state.ledger import PRIVATE, Row
from argosy.state.shards import need_ledger, open_ledger
from argosy.toolkit.failures import blame, disk_error
from argosy.toolkit.files import sync_disk
from argosy.toolkit.processes import boot_id
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop
from argosy.transfer.limits import Limits

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.ipc import RunEnd, WorkerSpec
    from argosy.leasing.login import LoginStep
    from argosy.plugins.manager import PluginManager

#: Seconds between two checks for items that another run works on.
CHECK_AGAIN = 0.5


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a caller adds to the settings of a run."""

    observers: Sequence[Observer] = ()
    on_event: Callable[[Event], None] | None = None
    ask: Callable[[str], str] | None = None  # asks the user for a secret
    #: Called with the report, and each item with whether it had a job, before the ledger is closed.
    on_report: Callable[[Report, Iterable[tuple[Row, bool]]], None] | None = None
    redactor: Redactor = field(default_factory=Redactor)
    reprocess: bool = False  # only make outputs of finished items, without requests, logins or secrets
    in_workers: Callable[[Redactor], None] | None = None  # called in each worker process as it starts
    select: Select = iter  # the others are left out
    limit: int | None = None  # the most items with work to do; the others are left out


class Run:
    """One run, executed once; `stop` stops it from outside."""

    def __init__(self, settings: Settings, plugins: PluginManager, options: RunOptions | None = None) -> None:
        self.options = options = options or RunOptions()
        if options.reprocess:  # needs no service and no secret
            settings = replace(settings, source=None, auth={"use": "none"}, cookie_store={"use": "memory"})
            settings = replace(settings, proxy=None, ca_bundle=None, trust_environment=False)
        self.settings = settings
        self.plugins = plugins
        self.stop = Stop()
        self._typed = functools.cache(options.ask) if options.ask is not None else None
        self._dispatcher = ObserverDispatcher(options.observers, options.redactor, options.on_event)
        self._emit = self._dispatcher.emit
        self._to_blame: list[Plugin] = []
        self._error: ArgosyError | None = None
        self._done = self._failed = self._bytes = 0
        self._failures: list[Failure] = []
        self._mutex = threading.Lock()
        self._run_end: RunEnd | None = None

    def execute(self) -> Report:
        """Execute the run; the report has the error that ended it early. Raises ArgosyError if it could not begin."""
        self._started, self._clock = time.time(), time.monotonic()
        try:
            with ExitStack() as stack:
                self._open(stack)
                planned = self._make_plan(stack)
                self._work(planned)
                return self._finish(planned)
        except ArgosyError as error:
            self.options.redactor.scrub_error(error)
            raise
        except OSError as error:  # mostly: too many open files
            raise disk_error(self.settings.directory, error) from None
        except (Exception, SystemExit) as error:
            blamed = blame(error, self._to_blame)
            if blamed is None:
                raise
            raise self.options.redactor.scrub_error(blamed) from None

    def tell_stopping(self) -> None:
        """Tell the observers that the user stops the run; any thread may call this."""
        if self._error is not None:
            return  # it has stopped and said why
        message = "Finishing current transfers; press Ctrl-C again to stop at once."
        if self.stop.aborted:
            message = "Ending all transfers now; partial downloads resume in the next run."
        self._emit(EventKind.RUN_STOPPING, None, {"message": message})

    # -- open

    def _open(self, stack: ExitStack) -> None:
        """Open the ledger, the plugins and the sessions; raise before anything is written if there is nothing to do."""
        settings, options = self.settings, self.options
        if options.reprocess:
            need_ledger(settings.directory, settings.where)
        else:
            need_source(settings)
        ledger = self._ledger = stack.enter_context(closing(open_ledger(settings.directory, settings.shard)))
        stack.callback(self._dispatcher.close)
        ask = functools.partial(ask_safely, self._typed, settings, self.plugins) if self._typed is not None else None
        context = self._context = RunContext(settings, self.plugins, self._emit, self.stop, options.redactor, ask=ask)
        stack.callback(context.close)
        self._to_blame = context.plugins
        for given in settings.observers:
            self._dispatcher.add(self.plugins.make(Observer, given, context.plugin_context))
        ledger.storage = context.storage
        context.storage.prepare()
        if settings.remote is not None:
            settings.remote.note(settings.directory / PRIVATE)
        for notice in ledger.notices:
            context.notice(notice)
        strategy, self._strategy_reason = choose(context, self.plugins)
        self._strategy = strategy
        context.plugins.append(strategy)
        data = {"directory": settings.where, "strategy": strategy.name, "max_workers": settings.max_workers}
        data |= {"lease": context.pool.lease.value, "sessions": len(context.pool.names)}
        self._emit(EventKind.RUN_STARTED, None, data)
        if self._strategy_reason:
            context.notice(self._strategy_reason)
        for plugin in context.plugins:
            if plugin.experimental:
                context.notice(f"The plugin {plugin.name!r} is experimental: it may change or misbehave.")

    # -- plan

    def _make_plan(self, stack: ExitStack) -> Planned:
        context = self._context
        plan = Plan(self.settings, context.source, self._ledger, context.outputs)
        self._plan = stack.enter_context(closing(plan))
        plan.read(self.stop, context.pool, self._emit, self.options.select)
        context.staging.prepare()
        self._ledger.take_over(context.staging.tidy)
        context.staging.sweep(self._ledger.done())
        self._check_unsynced()
        planned = plan.compare(limit=self.options.limit)
        self._emit(EventKind.RUN_PLANNED, None, asdict(planned))
        return planned

    def _check_unsynced(self) -> None:
        """Read the files that an earlier run did not sync, if the machine has rebooted since; sync the others."""
        ledger, storage, directory = self._ledger, self._context.storage, self.settings.directory
        unsynced = ledger.unsynced()
        if boot_id() in unsynced.values():
            sync_disk(directory)
        lost = 0
        for id_ in [id_ for id_, boot in unsynced.items() if not boot or boot != boot_id()]:
            files = ledger.rows([id_])[id_].files
            problems = {file.name: problem for file in files if (problem := storage.problem(file)) is not None}
            if problems:
                ledger.mark_damaged(id_, problems)
                lost += 1
        ledger.synced(unsynced)
        if lost:
            these, them = ("item was", "it") if lost == 1 else ("items were", "them")
            text = f"{lost} finished {these} not on the disk yet when the machine stopped"
            self._context.notice(f"{text}; `argosy download` fetches {them} again.")

    # -- work

    def _work(self, planned: Planned) -> None:
        """Do the jobs, and remake the aggregated files before, meanwhile and after; keep the first error."""
        context, settings = self._context, self.settings
        aggregator = Aggregator(context.outputs, self._ledger, context.staging, settings)
        with self._keeping_error():
            aggregator.refresh()  # also shows errors early
            if planned.to_do:
                # forced downloads replace files, and remote files do not stay here
                if not settings.force_redownload and settings.remote is None:
                    Limits(settings).check_room(planned.bytes, for_plan=True)
                if planned.to_do > planned.remade:  # something has to be downloaded
                    context.pool.log_in()
                self._do_jobs(aggregator)
        if self.stop.aborted:
            return
        with self._keeping_error():
            if not aggregator.refresh():
                context.notice("Another run is updating the aggregated files; the next run finishes them.")

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Keep the first error for the report."""
        try:
            yield
        except ArgosyError as error:
            self._error = self._error or error

    def _do_jobs(self, aggregator: Aggregator) -> None:
        """Let the strategy do all jobs, including those that are requeued."""
        context = self._context
        worker = Worker(context, self._emit, self._worker_spec)

        def recorded(outcome: Outcome) -> None:
            self._recorded(outcome)
            if outcome.state is State.DONE:
                aggregator.item_done()

        recorder = Recorder(
            self.settings.directory,
            self._ledger,
            context.storage,
            context.staging,
            recorded,
            syncs_files=self.settings.syncs_files,
        )
        try:
            with recorder:
                self._do_all(worker, recorder)
        finally:
            if self._run_end is not None:
                self._run_end.close()

    def _do_all(self, worker: Worker, recorder: Recorder) -> None:
        while not self.stop.draining:
            jobs = self._plan.jobs(self.stop)
            with closing(outcomes_of(self._strategy, jobs, worker, self.settings.max_workers)) as outcomes:
                for outcome in outcomes:
                    if outcome.fatal is not None:
                        self._end_early(outcome.fatal)
                    recorder.put(outcome)
            recorder.flush()
            self._ledger.take_over(self._context.staging.tidy)
            pending, active = self._plan.unfinished()
            if not pending and not active:
                return
            if not pending:
                self._context.notice("Another run works on the other items; waiting for it.")  # shown once
                self.stop.sleep(CHECK_AGAIN)

    def _worker_spec(self) -> WorkerSpec:
        """Return what another process needs to create a worker; the first call starts the server that it talks to."""
        from argosy.engine.ipc import RunEnd, WorkerSpec  # most runs have no worker processes

        with self._mutex:
            if self._run_end is None:
                self._run_end = RunEnd(self._strategy.channel(), self._emit, self.stop, self._answer)
        share, is_heard = self._context.pool.share, self._dispatcher.is_heard
        return WorkerSpec(self.settings, self.plugins, self._run_end.address, share, is_heard, self.options.in_workers)

    def _answer(self, question: str, text: str) -> str | None:
        """Answer a worker process: give it a secret of the user, or say why it must not log in."""
        if question == "secret":
            return self._typed(text) if self._typed is not None and self._strategy.private else None
        return self._context.pool.login_limit.tell(cast("LoginStep", question), text)

    def _recorded(self, outcome: Outcome) -> None:
        """Count an outcome, and tell the observers."""
        self._bytes += outcome.bytes
        if outcome.state is State.DONE:
            self._done += 1
            if self._done % self.settings.token_save_interval == 0:
                self._context.pool.save()
        elif outcome.failure is not None:
            self._failed += 1
            if len(self._failures) < MOST_FAILURES:
                title = self._ledger.rows([outcome.item])[outcome.item].title
                id_, title = self.options.redactor.scrub((outcome.item, title))
                self._failures.append(replace(outcome.failure, id=id_, title=title))
        data = {
            "state": outcome.state.value,
            "bytes": outcome.bytes,
            "seconds": round(outcome.seconds, 3),
            "files": len(outcome.files),
            "failure": outcome.failure.message if outcome.failure else None,
            "kind": outcome.failure.kind if outcome.failure else None,
        }
        self._emit(EventKind.ITEM_FINISHED, outcome.item, data)
        if outcome.fatal is not None:  # recording it failed
            self._end_early(outcome.fatal)

    def _end_early(self, error: ArgosyError) -> None:
        """Start no more items because of an error."""
        with self._mutex:
            if self._error is not None:
                return
            self._error = error
        self._emit(EventKind.RUN_STOPPING, None, {"message": str(error)})
        self.stop.drain()

    # -- finish

    def _finish(self, planned: Planned) -> Report:
        settings, pool, options = self.settings, self._context.pool, self.options
        with self._keeping_error():
            pool.sync()
        left = sum(self._plan.unfinished())
        if self._error is None and (self.stop.aborted or (self.stop.draining and left)):
            self._error = Interrupted(
                "The run was stopped; the session and all finished work are saved.", hint="Start it again to continue."
            )
        if self._error is not None:
            options.redactor.scrub_error(self._error)
        lease, lease_reason = pool.in_force()
        skipped = planned.items - self._done - self._failed - left
        counts = Counter(pool.counts())
        for others in self._run_end.counts.values() if self._run_end is not None else ():
            counts.update(others)
        report = Report(
            run=self._ledger.run,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            directory=settings.directory,
            where=settings.where,
            strategy_asked=settings.strategy["use"] if settings.strategy else None,
            strategy_used=self._strategy.name,
            strategy_reason=self._strategy_reason,
            max_workers=settings.max_workers,
            lease_asked=settings.lease,
            lease_used=lease,
            lease_reason=lease_reason,
            sessions=pool.used,
            counts=Counts(planned.items, self._done, skipped, self._failed, left),
            bytes=self._bytes,
            retries=self._dispatcher.retries,
            **{name: counts[name] for name in ("requests", "logins", "refreshes", "refusals")},
            notices=tuple(self._dispatcher.notices),
            failures=tuple(self._failures),
            error=self._error,
            items=(),
        )
        self._emit(EventKind.RUN_FINISHED, None, report.to_dict())
        if options.on_report is not None:
            options.on_report(report, self._plan.rows())
        return report


def outcomes_of(
    strategy: Strategy, jobs: Iterator[Job], work: Work, max_workers: int
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of a strategy; raise PluginError unless it yields one for each job that it takes."""
    taken: set[str] = set()

    def counted() -> Iterator[Job]:
        for job in jobs:
            taken.add(job.item.id)
            yield job

    hint = "Finished work is kept; continue with another strategy (--strategy serial)."
    with plugin_errors("strategy", strategy, hint):
        for outcome in strategy.run(counted(), work, max_workers):
            found: object = outcome  # recording it will remove the staged files of its item
            if not isinstance(found, Outcome) or found.item not in taken:
                raise ValueError(f"it yielded {found!r:.100}, which is not the outcome of an open job")
            taken.remove(outcome.item)
            yield outcome
        if taken:
            raise ValueError(f"it ended without an outcome for {len(taken)} of its jobs")
