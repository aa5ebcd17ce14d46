"""A requests session whose requests are authorised: leased, judged, and sent again after a login."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urldefrag

import requests
from requests.cookies import RequestsCookieJar

from argosy._version import __version__
from argosy.cookies import jar
from argosy.cookies.matching import Target
from argosy.errors import Refused
from argosy.http.adapter import LeasedAdapter
from argosy.http.body import discard, exhaust, peek
from argosy.http.limits import IN_MEMORY, BodyLimits
from argosy.http.load import Load
from argosy.http.network import Downgraded, Network, is_downgraded, odd_places
from argosy.http.request import PluginSigner, Reuse, first_signing
from argosy.interfaces.auth import ResponseHead
from argosy.leasing.lease import Stamp
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode
from argosy.models.session import origin_of
from argosy.ratelimit.limiter import RateLimiter
from argosy.toolkit.responses import read_content

#: Bytes of an HTML body that a refusal is looked for in.
PEEK = 64 * 1024

#: What a plain request says, if anything.
_PLAIN = frozenset({"allow_redirects", "params", "stream", "timeout"})

#: A request is taken for the cause, and refused, once the new sessions that ended when it was sent on them weigh so
#: much: one that nothing else was accepted on, and one that others used meanwhile, who may have been the cause.
MOST_ENDED, ALONE, AMONG_OTHERS = 6, 3, 1

#: Redirects that one request follows at most, each under a lease of its own.
MAX_REDIRECTS = 10


#: Headers that say nothing of who asks. Any other may be a credential (``X-Api-Key``), and stays at its origin.
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "if-range", "range", "user-agent"}
)


class _NoJar(RequestsCookieJar):
    """Keeps no cookie, and does not even look at those of a response."""

    def extract_cookies(self, *_: object) -> None:
        """Do nothing."""


class PlainSession(requests.Session):
    """A requests session that takes nothing from its surroundings, and no credentials to another origin.

    No proxy and no ``.netrc`` from the environment, and no cookie jar of its own beside the session's
    record. Compression is not asked for: a truncated body that was compressed ends early without an error.

    Parameters
    ----------
    network
        How it reaches the service.
    """

    def __init__(self, network: Network = Network()) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = True if network.ca_bundle is None else str(network.ca_bundle)
        self.allow_downgrade = network.allow_downgrade
        if network.proxy is not None:
            self.proxies = dict.fromkeys(("http", "https"), network.proxy.reveal())
        self.max_redirects = MAX_REDIRECTS
        self.cookies = _NoJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"argosy/{__version__}"
        self.headers["Accept-Encoding"] = "identity"

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Leave behind what may be a credential where a redirect leads to another origin.

        requests itself takes along all but ``Authorization``, and a form with its password after a 307.

        Raises
        ------
        requests.RequestException
            If the request has a body; nothing was sent to the other origin.
        """
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]  # the stubs leave it out
        old, new = (Target.of(url or "") for url in (response.request.url, prepared_request.url))
        if new.scheme == "http" and (old.scheme == "https" or is_downgraded(response.request)):
            prepared_request.argosy_redirected_by = response  # type: ignore[attr-defined]  # a note for `send`
        if (old.scheme, old.host, old.port) == (new.scheme, new.host, new.port):
            return
        if prepared_request.body is not None:
            raise requests.RequestException("a redirect would have sent the form to another origin")
        for name in [name for name in prepared_request.headers if name.lower() not in _HARMLESS]:
            del prepared_request.headers[name]

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request as `requests.Session.send` does.

        Raises
        ------
        Downgraded
            If a redirect led from https to http, and that is not allowed; nothing was sent there.
        """
        if is_downgraded(request) and not self.allow_downgrade:
            raise Downgraded(
                "a redirect leads from https to http",
                request=request,
                response=request.argosy_redirected_by,  # type: ignore[attr-defined]  # the note of `rebuild_auth`
            )
        with odd_places():
            return super().send(request, **kwargs)


class _Verdict(Enum):
    """What a refusal says, after a look at something that was accepted before."""

    GOOD = "the session is good"
    ENDED = "the session has ended"
    OVERTAKEN = "somebody has logged in since"
    UNKNOWN = "nothing else was ever accepted"


@dataclass(slots=True)
class LoginDoubts:
    """Whether a login has turned out not to help: a request was refused right after it."""

    raised: bool = False


class AuthorizedSession(PlainSession):
    """Sends requests on one session; a refusal is judged, the session renewed, and the request sent again.

    Parameters
    ----------
    keeper
        The keeper of the session.
    is_refusal
        The auth plugin's judgement.
    pacer
        Spaces requests to a host.
    timeout
        Seconds: to connect, for send + headers, and between two pieces of a body.
    load
        Told how long each request holds the session.
    doubts
        What is known about logins that do not help; shared by the sessions of one account.
    on_accepted
        Called for each request that the service accepted: with the time (seconds since the epoch) at which it was
        sent, and the session's count of logins then.
    network
        How it reaches the service.
    signer
        Adds something to each request that is computed of it.
    reuse
        Says which connections may serve more than one request; shared by the sessions of one process.
    body_limits
        How long each body may take.
    """

    def __init__(
        self,
        manager: SessionManager,
        is_refusal: Callable[[ResponseHead], bool],
        *,
        rate_limiter: RateLimiter | None = None,
        timeout: tuple[float, float, float] = (10.0, 60.0, 60.0),
        load: Load | None = None,
        doubts: LoginDoubts | None = None,
        on_accepted: Callable[[float, int], None] = lambda sent_at, logins: None,
        network: Network = Network(),
        signer: PluginSigner | None = None,
        reuse: Reuse | None = None,
        body_limits: BodyLimits = BodyLimits(),
    ) -> None:
        super().__init__(network)
        self.manager = manager
        self._signer = signer
        self._is_refusal = is_refusal
        connect, headers, read = timeout
        self._timeout = (connect, max(headers, read))  # the adapter's own deadline cuts late headers
        self._proof: str | None = None
        self._accepted_issue: tuple[int, int] | None = None
        self._ended_issue: tuple[int, int] | None = None  # found out by asking for something accepted before
        self._asking = threading.Lock()
        self._doubts = doubts or LoginDoubts()
        self._on_accepted = on_accepted
        adapter = LeasedAdapter(
            manager,
            deadline=headers,
            rate_limiter=rate_limiter,
            load=load,
            reuse=reuse,
            body_limits=body_limits,
        )
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request as `requests.Session.request` does, and judge the answer.

        Raises
        ------
        Refused
            If the service refuses this request although the session is good.
        SessionError
            If the session is lost.
        """
        kwargs.setdefault("timeout", self._timeout)
        stream, kwargs["stream"] = kwargs.get("stream", False), True
        refused_issue: tuple[int, int] | None = None
        ended = 0
        while True:
            response = self._send_once(method, url, *args, **kwargs)
            first = response.history[0] if response.history else response
            # somebody may have logged in between two hops: it is the first one's token that was refused
            stamp: Stamp = first.argosy_stamp  # type: ignore[attr-defined]  # the adapter's note
            if not self._refuses(response):
                if (downgraded := getattr(response, "argosy_downgraded", None)) is not None:
                    raise downgraded
                for hop in (*response.history, response):  # each had a lease of its own
                    self.manager.accepted(hop.argosy_stamp)  # type: ignore[attr-defined]  # the adapter's note
                last: Stamp = response.argosy_stamp  # type: ignore[attr-defined]  # as above
                self._on_accepted(response.argosy_sent_at, last.logins)  # type: ignore[attr-defined]  # as above
                self._proof = response.url if response.ok else self._proof
                self._accepted_issue = last.issue
                if not stream:
                    response._content = read_content(response, IN_MEMORY, whole=True)
                    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs
                return response
            discard(response)
            if (error := self._nothing_for(response)) is not None:
                raise error
            # one that another login has ended says nothing of this request
            renewed = refused_issue not in (None, stamp.issue) and not self.manager.is_suspect
            if renewed:
                self._doubts.raised = True
            if self._doubts.raised or not self.manager.policy.renewable:
                verdict = self._verdict(stamp, but=response.url)
                if renewed and verdict is not _Verdict.OVERTAKEN:
                    self.manager.fruitless()
                    among_others = self._accepted_issue == stamp.issue
                    weight = AMONG_OTHERS if among_others else ALONE
                    ended += weight if verdict is _Verdict.ENDED else MOST_ENDED
                if verdict is _Verdict.GOOD or ended >= MOST_ENDED:
                    raise self._refused(response)
            self.manager.refused(stamp, again=refused_issue == stamp.issue)
            refused_issue = stamp.issue

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request as `requests.Session.prepare_request` does, to be signed when it has its lease."""
        prepared = super().prepare_request(request)
        if self._signer is not None and request.auth is None:
            self._signer.attach(prepared)
        return prepared

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Sign a redirect anew where it stays at the origin."""
        super().rebuild_auth(prepared_request, response)
        signing = first_signing(response)
        if signing is not None and origin_of(prepared_request.url or "") == origin_of(response.url):
            signing.attach(prepared_request)

    def _send_once(
        self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send, but stop at a redirect from https to http: it is a refusal if it leads to a login page."""
        try:
            return self._sent(method, url, *args, **kwargs)
        except Downgraded as error:
            response = error.response
            assert response is not None  # noqa: S101 - the redirect
            response.url = (error.request and error.request.url) or response.url
            response.argosy_downgraded = error  # type: ignore[attr-defined]  # a note for `request`
            return response

    def _sent(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send as `requests.Session.request` does, without merging settings that are not there."""
        plain = not args and kwargs.keys() <= _PLAIN and not kwargs.get("params") and method == "GET"
        if not plain or self.params or "@" in str(url):
            return super().request(method, url, *args, **kwargs)
        request = requests.PreparedRequest()
        request.prepare_method("GET")
        request.prepare_url(url, None)
        request.prepare_headers(self.headers)
        request._cookies = self.cookies  # type: ignore[attr-defined]  # keeps none; a redirect asks for it
        request.prepare_hooks(self.hooks)
        if self._signer is not None:
            self._signer.attach(request)
        return self.send(
            request,
            stream=kwargs["stream"],
            timeout=kwargs["timeout"],
            allow_redirects=kwargs.get("allow_redirects", True),
            verify=self.verify,
            cert=self.cert,
            proxies=self.proxies,
        )

    def _refuses(self, response: requests.Response) -> bool:
        """Judge a response, and count it if it is a refusal."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        start = b""
        whole = (
            response.request.method != "HEAD" and response.status_code != 206
        )  # no login page comes in parts
        if whole and kind in ("text/html", "application/xhtml+xml"):
            start = peek(response, PEEK)
        first = response.history[0] if response.history else response
        asked = urldefrag(first.request.url or "").url
        accept = str(first.request.headers.get("Accept", "*/*"))
        head = ResponseHead(asked, response.url, response.status_code, response.headers, start, accept)
        refused = self._is_refusal(head)
        if refused:
            self.manager.count_refusal()
        return refused

    def _verdict(self, stamp: Stamp, but: str) -> _Verdict:
        """Return what becomes of something that was accepted before: where it still is, it is not the session.

        Asked only after a login did not help, or where one cannot log in again: without it, each thing this
        account may not have would cost a login, or the session.
        """
        if self._is_overtaken(stamp):
            return _Verdict.OVERTAKEN
        proof = self._proof
        if proof is None or proof == but:
            return _Verdict.UNKNOWN
        with self._asking:  # one thread asks for all: where the session has ended, its token is sent no more
            if self._is_overtaken(stamp):
                return _Verdict.OVERTAKEN
            good = self._ended_issue != stamp.issue and self._is_good(proof)
            if self._is_overtaken(stamp):
                return _Verdict.OVERTAKEN
            return _Verdict.GOOD if good else _Verdict.ENDED

    def _is_overtaken(self, stamp: Stamp) -> bool:
        """Return whether somebody has logged in since: then a refusal speaks of a session that is no more."""
        record = self.manager.store.read(self.manager.session)
        return record is not None and record.issue != stamp.issue

    def _is_good(self, proof: str) -> bool:
        # no HEAD: a login page with status 200 is known by its body alone
        response = self._send_once("GET", proof, stream=True, timeout=self._timeout)
        try:
            if refused := self._refuses(response):
                first = response.history[0] if response.history else response
                self._ended_issue = first.argosy_stamp.issue  # type: ignore[attr-defined]  # the adapter's note
            return not refused
        finally:
            if self.manager.policy.discipline is LeaseMode.EXCLUSIVE_TO_END:
                exhaust(response)  # or its lease would end in doubt
            response.close()

    def _nothing_for(self, response: requests.Response) -> Refused | None:
        """Return the error of a request that went where the session has nothing for, nor had its redirects."""
        record = self.manager.store.read(self.manager.session)
        if self._signer is not None or record is None or record.headers or not record.cookies:
            return None
        # the others of a session that was imported came later: anybody gets those
        ours = tuple(cookie for cookie in record.cookies if cookie.scheme is None) or record.cookies
        hops = [hop.request.url or "" for hop in (*response.history, response)]
        if any(jar.concerns(ours, hop) for hop in hops):
            return None
        places = sorted({jar.place_of(cookie) for cookie in ours})
        shown = ", ".join(places[:5]) + (", ..." if len(places) > 5 else "")
        return Refused(
            f"The service refuses this, and the session has no cookie for {origin_of(hops[0])}:"
            f" its cookies are for {shown}.",
            kind="refused",
            hint="Log in at that site, or import the cookies of it.",
        )

    @staticmethod
    def _refused(response: requests.Response) -> Refused:
        if response.ok:
            return Refused(
                "The service answers with a page that is taken for a login page, although the session is good.",
                kind="refused",
                hint="Look at it with a browser. If it is none, say in the auth plugin's option refusal what is one.",
            )
        return Refused(
            f"The service refuses this although the session is good (status {response.status_code}).",
            kind="refused",
            hint="Check with a browser whether this account may download it.",
        )
