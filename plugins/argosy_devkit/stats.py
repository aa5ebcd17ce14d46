"""What a library server counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerStats:
    """What a library server counted since its start or the last reset.

    Parameters
    ----------
    requests
        All requests, but for those that control the server.
    accepted
        Requests for content that were let in.
    refused
        Requests that carried a token that is no longer or never was valid.
    anonymous
        Requests that needed a token and carried none.
    replaced_tokens_sent
        Requests that carried a token that had been valid and was replaced: the number that must be 0.
        Where an old one is good for a while, it counts here although it is accepted.
    logins, failed_logins
        Posted login forms.
    sessions_revoked
        Sessions that ended because an old token was sent.
    rotations
        Tokens that became valid in place of another.
    active, active_peak
        Bodies on their way now, and the most at once.
    bytes_sent
        Body bytes handed to the kernel.
    bodies_completed
        Whole bodies sent, by path.
    requests_by_path
        Requests, by path (without the query).
    accepted_by_login
        Accepted requests, by the number of the login that made their session: ``"1"``, ``"2"``.
    faults
        Faults that struck, by kind.
    """

    requests: int = 0
    accepted: int = 0
    refused: int = 0
    anonymous: int = 0
    replaced_tokens_sent: int = 0
    logins: int = 0
    failed_logins: int = 0
    sessions_revoked: int = 0
    rotations: int = 0
    active: int = 0
    active_peak: int = 0
    bytes_sent: int = 0
    bodies_completed: Mapping[str, int] = field(default_factory=dict)
    requests_by_path: Mapping[str, int] = field(default_factory=dict)
    accepted_by_login: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
