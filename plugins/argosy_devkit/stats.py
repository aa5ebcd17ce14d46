"""The counters of a library server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerStats:
    """The counters of a library server since its start or the last reset.

    Parameters
    ----------
    requests
        All requests, except those that control the server.
    accepted
        Accepted requests for content.
    refused
        Requests with an invalid token.
    anonymous
        Requests without the token they needed.
    replaced_tokens_sent
        Requests with a token that was valid once but was replaced: this must be 0. It also counts old tokens that are
        accepted for a while.
    logins, failed_logins
        Submitted login forms.
    sessions_revoked
        Sessions that ended because an old token was sent.
    rotations
        Replaced tokens.
    active, active_peak
        Bodies in transfer now, and the most at a time.
    bytes_sent
        Body bytes handed to the kernel.
    bodies_completed
        Complete bodies, by path.
    requests_by_path
        Requests, by path (without the query).
    accepted_by_login
        Accepted requests, by the number of their session's login: ``"1"``, ``"2"``.
    faults
        Faults that occurred, by kind.
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
