"""The strategy that gives each item to a worker of a Dask cluster."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import itertools
import logging
import math
import os
import pickle
import threading
import time
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import argosy
from argosy.errors import ArgosyError, ConfigError, PluginError, ServiceDown
from argosy.interfaces.base import PluginContext
from argosy.interfaces.channel import Channel
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Failure, Job, Outcome, State

if TYPE_CHECKING:
    from argosy_dask.channel import DaskChannel

logger = logging.getLogger(__name__)

#: Seconds to wait for the scheduler.
PATIENCE = 10.0

#: Seconds that a worker waits for the work.
WORK_PATIENCE = 30.0

#: How long a worker is busy with a group of small items, in seconds, and how many these are at most.
GROUP_SECONDS, MOST_IN_GROUP = 2.0, 32

#: Seconds between two looks whether the cluster has workers.
WATCH_PERIOD = 2.0

_SAME = "Install the same version, with the same extras and plugins, on all machines."


class DaskStrategy(Strategy):
    """Works on up to `max_workers` items at once, on a cluster, or on a local one that ends with the run."""

    name = "dask"
    summary = "Several items at once, on a Dask cluster"
    experimental = True
    options_schema = {
        "type": "object",
        "properties": {
            "address": {
                "type": ["string", "null"],
                "pattern": "^(tcp|tls)://.",
                "default": None,
                "description": "The scheduler, such as tcp://10.0.0.5:8786, or tls:// with the certificates that Dask's own "
                "configuration names. Unset, processes on this machine.",
            },
            "processes": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 256,
                "default": None,
                "description": "How many processes without an address. Unset, as many as there are processors.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        address = options.get("address")
        self.needs = Scope.CLUSTER if address else Scope.HOST
        self.private = not address or address.startswith("tls://")
        self._client: Any = None
        self._cluster: Any = None
        self._channel: DaskChannel | None = None
        self._given_up = False  # whether the jobs were taken back from a cluster without workers
        self._numbers = itertools.count()

    def channel(self) -> Channel:
        """Return the channel through the scheduler."""
        from argosy_dask.channel import DaskChannel

        self._channel = DaskChannel(self._connect(1), is_local=not self.options.get("address"))
        return self._channel

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield outcomes as they come; give the cluster no more than `max_workers` groups of jobs at once."""
        client, dumps = self._connect(max_workers), _distributed().protocol.pickle.dumps
        done = _distributed().as_completed(loop=client.loop, with_results=True, raise_errors=False)
        given: dict[str, Group] = {}  # by the key of its task
        groups, broken, more = Groups(jobs, max_workers if self.options.get("address") else 0), None, True
        # the work is the same for all jobs: each worker fetches it once
        name = uuid.uuid4().hex[:12]
        variable = _distributed().Variable(name, client=client)
        variable.set(dumps(work))
        over = threading.Event()
        if self._cluster is None:  # a local one replaces its workers
            threading.Thread(target=self._watch, args=(given, over), name="argosy-dask-watch", daemon=True).start()
        try:
            while more or given:
                while more and len(given) < max_workers:
                    try:
                        group = Group(groups.take(), dumps)
                    except StopIteration:
                        more = False
                    except Exception as error:  # active jobs finish first
                        broken, more = error, False
                    else:
                        key = f"argosy-{name}-{next(self._numbers)}"
                        # the scheduler unpickles a task, too: it gets bytes, so that it needs no argosy
                        task = pickle.dumps(_Task(name, group.packed))
                        group.future = client.submit(pickle.loads, task, key=key, pure=False)
                        given[key] = group
                        done.add(group.future)
                if given:
                    future, result = next(done)
                    group = given.pop(future.key)
                    yield from self._outcomes(group, result, groups)
                    more = more or groups.has_some_back
            if broken is not None:
                raise broken
        finally:
            over.set()
            variable.delete()
            if given:
                client.cancel([group.future for group in given.values()], force=True)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()

    def _watch(self, given: Mapping[str, Group], over: threading.Event) -> None:
        """Say so while there is no worker; if the user stops the run then, nobody else can give its jobs back."""
        seen, before, told = (
            False,
            True,
            False,
        )  # looked once; there were workers then; the user knows that there are none
        while not over.wait(WATCH_PERIOD if seen else 0.1):
            if not given:
                continue
            try:
                count = len(self._client.scheduler_info()["workers"])
            except Exception as error:  # the scheduler is lost, or the run is over: noticed elsewhere
                logger.debug("cannot watch the workers: %s", error)
                return
            if over.is_set():
                return
            if count:
                told = False
            elif not told and not (seen and before):  # a worker that was replaced is no news
                told = True
                none = "All workers have left" if seen else "No worker has connected to"
                self.context.notice(
                    f"{none} the Dask scheduler at {self._where}; the run waits for one. "
                    f"Start some: dask worker {self._where}"
                )
            if not count and self._channel is not None and self._channel.is_stopping:
                self._given_up = True
                self._client.cancel([group.future for group in list(given.values())], force=True)
            seen, before = True, bool(count)

    def _outcomes(self, group: Group, result: Any, groups: Groups) -> list[Outcome]:
        """Return the outcomes of a group; what was not done goes back."""
        if group.future.status == "finished":
            outcomes = group.unpack(result)
            groups.give_back(group.jobs[len(outcomes) :])
            groups.learn(outcomes)
            return outcomes
        error = result[1] if isinstance(result, tuple) else result
        if isinstance(error, _distributed().KilledWorker):
            if len(group.jobs) > 1:  # one of them may kill workers
                groups.give_back(group.jobs, alone=True)
                return []
            text = "Several Dask workers died while they worked on it."
            return [Outcome(group.jobs[0].item.id, State.FAILED, failure=Failure("crash", text))]
        if group.future.status == "error":
            if isinstance(error, ImportError):
                self._check_versions()  # of a worker that came later
            raise error
        if self._given_up:
            return [Outcome(job.item.id, State.REQUEUED) for job in group.jobs]
        hint = "Start it again to continue; finished work is kept."
        raise ServiceDown(f"The Dask scheduler at {self._where} was lost.", hint=hint)

    @property
    def _where(self) -> str:
        return str(self.options.get("address") or "this machine")

    def _connect(self, max_workers: int) -> Any:
        if self._client is not None:
            return self._client
        distributed, address = _distributed(), self.options.get("address")
        if address is None:
            count = min(self.options.get("processes") or os.cpu_count() or 1, max_workers)
            self._cluster = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=math.ceil(max_workers / count),
                # a scheduler always listens for HTTP, and by default to all networks
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                security=_temporary(),  # else every user of this machine could send it programs and read its messages
                silence_logs=logging.ERROR,
            )
        elif address.startswith("tls://"):
            _check_certificates(address)
        from argosy_dask.channel import IgnoreInterrupts, connect

        try:
            self._client = connect(self._cluster or address, PATIENCE)
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            hint = "Start one with `dask scheduler`, and check its address, and whether it uses TLS."
            raise ServiceDown(f"The Dask scheduler at {address} cannot be reached: {reason}.", hint=hint) from None
        if self._cluster is not None:
            self._client.register_plugin(IgnoreInterrupts())
        else:
            self._check_versions()
        return self._client

    def _check_versions(self) -> None:
        """Raise a ConfigError if a worker has another argosy than this run, or none."""
        found = self._client.run(importlib.metadata.version, "argosy", on_error="return")
        for worker, version in sorted(found.items()):
            if version != argosy.__version__:
                raise _differs(worker, version, argosy.__version__)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        hint = "Install it: pip install 'argosy[dask]'"
        raise ConfigError("The strategy 'dask' needs the package `distributed`.", hint=hint) from None
    return distributed


def _temporary() -> Any:
    """Return certificates for one cluster, which are only in memory."""
    try:
        return _distributed().Security.temporary()
    except ImportError:
        hint = "Install it: pip install 'argosy[dask]'"
        raise ConfigError("The strategy 'dask' needs the package `cryptography`.", hint=hint) from None


def _check_certificates(address: str) -> None:
    """Raise a ConfigError if Dask's configuration has no certificates for TLS, or none that can be used."""
    hint = "Set distributed.comm.tls in Dask's configuration, as for the scheduler and its workers."
    try:
        found = _distributed().Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ConfigError(f"The certificates for {address} cannot be used: {error}.", hint=hint) from None
    if found is None:
        raise ConfigError(f"There are no certificates to connect to {address}.", hint=hint)


class Groups:
    """Makes groups of jobs. Small items travel together, as each task costs Dask's scheduler more than such a job."""

    def __init__(self, jobs: Iterable[Job], max_workers: int) -> None:
        self._jobs = iter(jobs)
        self._back: deque[Job] = deque()
        self._alone: deque[Job] = deque()
        self._left = max_workers * 8 if max_workers else math.inf  # outcomes before groups grow
        self._seconds = GROUP_SECONDS  # per job, a moving average

    @property
    def has_some_back(self) -> bool:
        """Whether jobs were given back."""
        return bool(self._back or self._alone)

    def take(self) -> list[Job]:
        """Return the next jobs; raise StopIteration if there are none."""
        if self._alone:
            return [self._alone.popleft()]
        taken = [self._next()]
        size = 1 if self._left > 0 else min(int(GROUP_SECONDS / self._seconds), MOST_IN_GROUP)
        try:
            while len(taken) < size:
                taken.append(self._next())
        except StopIteration:
            pass
        except BaseException:
            self._back.extendleft(reversed(taken))
            raise
        return taken

    def give_back(self, jobs: Sequence[Job], *, alone: bool = False) -> None:
        """Take jobs that a worker did not do, and those that are to go alone."""
        (self._alone if alone else self._back).extend(jobs)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Learn how long jobs take."""
        self._left -= len(outcomes)
        for outcome in outcomes:
            self._seconds += (max(outcome.seconds, 1e-3) - self._seconds) / 8

    def _next(self) -> Job:
        return self._back.popleft() if self._back else next(self._jobs)


class Group:
    """Some jobs on their way to a worker."""

    def __init__(self, jobs: list[Job], dumps: Callable[[Any], bytes]) -> None:
        self.jobs = jobs
        self.future: Any = None
        self._text = dumps(jobs)
        self.packed = zlib.compress(self._text)

    def unpack(self, result: bytes) -> list[Outcome]:
        """Return the outcomes that a worker packed."""
        outcomes: list[Outcome] = pickle.loads(zlib.decompressobj(zdict=self._text).decompress(result))  # noqa: S301
        return outcomes


class _Task:
    """Jobs for a worker: unpickling it there does them, and returns their outcomes."""

    def __init__(self, name: str, packed: bytes) -> None:
        self._arguments = argosy.__version__, name, packed

    def __reduce__(self) -> tuple[Callable[..., bytes], tuple[object, ...]]:
        return _do, self._arguments


def _do(version: str, name: str, packed: bytes) -> bytes:
    """Do jobs on a worker, and stop after a while; return their outcomes, whose texts are mostly those of the jobs."""
    from argosy_dask.channel import flush

    where = _distributed().get_worker().address
    if version != argosy.__version__:
        raise _differs(where, argosy.__version__, version)
    pickled, text = _distributed().protocol.pickle, zlib.decompress(packed)
    outcomes, end = [], time.monotonic() + GROUP_SECONDS
    try:
        work = _work(name)
    except ImportError as error:
        raise _lacks(where, ConfigError(f"{error}.", hint=_SAME)) from None
    except (ConfigError, PluginError) as error:  # such as a file of a plugin that is missing here
        raise _lacks(where, error) from None
    for job in pickled.loads(text):
        outcome = work(job)
        if isinstance(outcome.fatal, (ConfigError, PluginError)):
            outcome = dataclasses.replace(outcome, fatal=_lacks(where, outcome.fatal))
        outcomes.append(outcome)
        if time.monotonic() > end:
            break
    flush()
    compressor = zlib.compressobj(zdict=text)
    return compressor.compress(pickled.dumps(outcomes)) + compressor.flush()


def _differs(worker: str, version: object, ours: str) -> ConfigError:
    has = f"argosy {version}" if isinstance(version, str) else "no argosy"
    return ConfigError(f"The Dask worker {worker} has {has}, and this run has {ours}.", hint=_SAME)


def _lacks(worker: str, error: ArgosyError) -> ArgosyError:
    """Let an error of a worker's installation say which worker it is."""
    error.message = f"The Dask worker {worker} cannot do its work: {error.message}"
    return error


@functools.lru_cache(maxsize=4)
def _work(name: str) -> Work:
    """Return the work of a run, unpickled once: that looks for the installed plugins, which takes 20 ms."""
    distributed = _distributed()
    recipe: bytes = distributed.Variable(name, client=distributed.get_client()).get(timeout=WORK_PATIENCE)
    work: Work = distributed.protocol.pickle.loads(recipe)
    return work


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return DaskStrategy
