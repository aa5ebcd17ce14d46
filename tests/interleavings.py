"""Runs threads one step at a time, in every order there is.

A thread that is to be steered calls `Run.pause` wherever another one may come in between: at each operation of
a store, and whenever it sends or receives. It goes on when it is chosen. `explore` tries all choices: it runs
everything anew for each of them, and follows no run into a situation that it has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from argosy_devkit.contracts.waiting import PATIENCE

#: What a run is stopped after: more steps than that mean that it goes round in circles.
MOST_STEPS = 1000


class Killed(BaseException):
    """The thread has ended: it died, or its run is over."""


def _closed() -> threading.Lock:
    """Return a gate that lets one thread through each time it is opened (a semaphore does that, but slowly)."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class Actor(threading.Thread):
    """A thread that moves when it is told to.

    Parameters
    ----------
    name
        Its name.
    work
        What it does.
    mortal
        Whether it may die at any step, as a process does: at once, with nothing tidied up.
    """

    def __init__(self, name: str, work: Callable[[], None], *, mortal: bool = False) -> None:
        super().__init__(name=name, daemon=True)
        self.work = work
        self.mortal = mortal
        self.over = False
        self.dead = False
        self.error: BaseException | None = None
        self.history: list[Hashable] = []
        self.options: Sequence[str] = ()
        self.ready: Callable[[], bool] = lambda: True
        self.chosen = ""
        self.gate = _closed()
        self.life: Callable[[Actor], None] = lambda actor: None

    def run(self) -> None:
        """Live."""
        self.life(self)


class Scene(Protocol):
    """What the actors of a run share; each run has a new one."""

    def actors(self, run: Run) -> list[Actor]:
        """Return the actors, not started."""

    def situation(self) -> Hashable:
        """Return the state of all that is shared: store, service, what may still go wrong."""

    def bury(self, actor: Actor) -> None:
        """Do what the system does for a process that has died."""

    def check(self) -> None:
        """Check what must hold when all have finished."""

    def close(self) -> None:
        """Tidy up."""


class Run:
    """One run, along a plan.

    Parameters
    ----------
    scene
        What is shared.
    plan
        Which of the possible moves to make, one number for each step; behind its end it is always the first.
    seen
        The situations that other runs have been in.
    """

    def __init__(self, scene: Scene, plan: Sequence[int], seen: set[Hashable]) -> None:
        self.moves: list[str] = []
        self.alternatives: list[int] = []
        self._scene = scene
        self._plan = plan
        self._seen = seen
        self._turn = _closed()
        self._actors = scene.actors(self)

    # -- for the actors

    def pause(self, options: Sequence[str], ready: Callable[[], bool] = lambda: True) -> str:
        """Let others move; return which of the options was chosen when it is this actor's turn again.

        Parameters
        ----------
        options
            What may happen at this step.
        ready
            Whether it can be this actor's turn.
        """
        actor = self._me()
        actor.options, actor.ready = options, ready
        self._turn.release()
        actor.gate.acquire()
        if actor.dead:
            raise Killed
        actor.history.append(actor.chosen)
        return actor.chosen

    def note(self, seen: Hashable) -> None:
        """Note what an actor has seen: what it does next may depend on it."""
        self._me().history.append(seen)

    def forget(self, *but: Hashable) -> None:
        """Say that what an actor has seen so far makes no difference any more, but for what is named."""
        self._me().history = [but]

    def _me(self) -> Actor:
        actor = threading.current_thread()
        assert isinstance(actor, Actor)
        if actor.dead:
            raise Killed
        return actor

    def _life(self, actor: Actor) -> None:
        try:
            self.pause(["starts"])
            actor.work()
        except Killed:
            pass
        except BaseException as error:
            actor.error = error
        actor.over = True
        if not actor.dead:
            self._turn.release()

    # -- for `explore`

    def follow(self) -> None:
        """Make all moves, to the end or to a situation that was seen before.

        Raises
        ------
        AssertionError
            If an actor fails, no actor can move, or the final check fails.
        """
        for actor in self._actors:
            actor.life = self._life
            actor.start()
            self._wait()
        try:
            if self._to_the_end():
                self._scene.check()
        finally:
            for actor in self._actors:
                actor.dead = True
                actor.gate.release()
            for actor in self._actors:
                actor.join(PATIENCE)
            self._scene.close()

    def _to_the_end(self) -> bool:
        deaths = True
        while not all(actor.over or actor.dead for actor in self._actors):
            waiting = [a for a in self._actors if not (a.over or a.dead)]
            moves = [(actor, option) for actor in waiting if actor.ready() for option in actor.options]
            assert moves, "nobody can go on"
            if deaths:
                moves += [(actor, "dies") for actor in waiting if actor.mortal]
            if len(self.moves) >= len(self._plan):
                situation = (self._scene.situation(), deaths, *map(self._posture, self._actors))
                if situation in self._seen:
                    return False
                self._seen.add(situation)
            step = len(self.moves)
            assert step < MOST_STEPS, "it goes round in circles"
            actor, option = moves[self._plan[step] if step < len(self._plan) else 0]
            self.alternatives.append(len(moves))
            self.moves.append(f"{actor.name} {option}")
            if option == "dies":
                deaths = False
                actor.dead = True
                self._scene.bury(actor)
                continue
            actor.chosen = option
            actor.gate.release()
            self._wait()
            if actor.error is not None:
                raise actor.error
        return True

    @staticmethod
    def _posture(actor: Actor) -> Hashable:
        return actor.over, actor.dead, tuple(actor.options), tuple(actor.history)

    def _wait(self) -> None:
        assert self._turn.acquire(timeout=PATIENCE), "an actor waits for something that is no step"


def explore(scene: Callable[[], Scene]) -> tuple[int, int]:
    """Follow all runs of a scene; return how many there were, and how many different situations.

    Parameters
    ----------
    scene
        Makes it anew for each run.

    Raises
    ------
    AssertionError
        If one goes wrong; it says how it went.
    """
    seen: set[Hashable] = set()
    plans: list[list[int]] = [[]]
    runs = 0
    while plans:
        plan = plans.pop()
        run = Run(scene(), plan, seen)
        runs += 1
        try:
            run.follow()
        except Exception as error:
            raise AssertionError(f"{error}\n  " + "\n  ".join(run.moves)) from error
        for step in range(len(plan), len(run.moves)):
            taken = [*plan, *[0] * (step - len(plan))]
            plans += [[*taken, other] for other in range(1, run.alternatives[step])]
    return runs, len(seen)
