"""How the workers of a strategy talk to their run from other processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: JSON values by name.
Message = Mapping[str, Any]


class Connection(ABC):
    """A worker's end; any thread may call it."""

    #: For unfinished files, on the worker's own disk; None if they are in the target directory.
    folder: Path | None = None

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send a message that needs no answer; messages of one worker arrive in order, or not at all if the run is over."""

    @abstractmethod
    def ask(self, message: Message) -> Message:
        """Send a message and wait for its answer; raise `Interrupted` if the run is over."""

    @abstractmethod
    def close(self) -> None:
        """Send what is left, and close."""


class Address(ABC):
    """Where the run can be reached; it can be hashed, compared and pickled, and contains no secret of the user."""

    @abstractmethod
    def connect(self, told: Callable[[Message], None], over: Callable[[], None]) -> Connection:
        """Connect a worker; `told` gets messages of the run, and `over` is called if it ends or is lost.

        Raises
        ------
        RunUnreachable
            If there is no connection to the run.
        """


class Channel(ABC):
    """The run's end. It takes messages of this run's workers alone, and unpickles nothing that comes from a network."""

    @abstractmethod
    def open(self, answer: Callable[[Message], Message | None]) -> Address:
        """Take messages from now on: each is given to `answer`, whose result answers an `ask`; any thread may call it."""

    @abstractmethod
    def tell(self, message: Message) -> None:
        """Send a message to all workers, also to those that connect later; it may be called in a signal handler."""

    @abstractmethod
    def close(self) -> None:
        """Let `over` be called on all workers, take their last messages, and close."""
