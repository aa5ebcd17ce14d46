"""The requests sessions of argosy: for logins, and for requests that are leased, judged and sent again after a login."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import getproxies

import requests
import urllib3.exceptions
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

from argosy._version import __version__
from argosy.cookies import jar
from argosy.errors import ConfigError, Refused
from argosy.http.adapter import Adapter, LeasedAdapter
from argosy.http.body import BodyLimits, discard, peek
from argosy.http.hop import PluginSigner, is_downgraded
from argosy.interfaces.auth import ResponseHead
from argosy.interfaces.transport import Hop, ResponseHeaders, Transport
from argosy.leasing.lease import Stamp
from argosy.leasing.login import NewSession
from argosy.leasing.policy import LeaseMode
from argosy.models.header_fields import problem_of, referer_of
from argosy.models.session import origin_of
from argosy.toolkit.pages import is_html
from argosy.toolkit.responses import Downgraded, InvalidAnswer, read_content
from argosy.toolkit.secrets import Secret

#: Bytes of a body that are searched for a refusal, of a body that is kept in memory, and of one of a login.
PEEK, IN_MEMORY, OF_A_LOGIN = 64 << 10, 256 << 20, 64 << 20

#: Seconds spent on the body of a probe whose lease ends with the last byte.
LEASED_SECONDS = 60.0

#: URLs that requests would not change, if no part of the path begins with a dot.
_NORMAL = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?/[!$&'()*+,./0-9:;=?@A-Z_a-z~-]*"
)

#: The options of a plain GET, which needs no merging of settings.
_PLAIN = frozenset({"allow_redirects", "headers", "stream", "timeout"})

#: A request counts as the cause, and as refused, once the new sessions that ended when it was sent have this weight in
#: sum: one on which nothing else was accepted, and one that others used, which may have been the cause.
MAX_ENDED, ALONE, AMONG_OTHERS = 6, 3, 1

#: Redirects that one request follows, each under its own lease.
MAX_REDIRECTS = 10

#: Headers that do not identify the sender. Any other may be a credential (``X-Api-Key``) and stays at its origin.
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "connection", "if-range", "range", "user-agent"})


class Network(NamedTuple):
    """How all sessions of a process reach the service."""

    ca_bundle: Path | None = None  # the certificate authorities to trust; None for the default ones
    proxies: Mapping[str, Secret] = MappingProxyType({})  # URLs by scheme, or "all"; "no" has hosts to reach directly
    allow_downgrade: bool = False  # follow redirects from https to http, without credentials
    user_agent: str = ""  # empty for that of argosy
    referer: str = ""  # a URL, or "self" for the host of each request
    headers: Mapping[str, Secret] = MappingProxyType({})  # more fields of each request; redirects elsewhere drop them
    header_origins: tuple[str, ...] = ()  # the only ones to send them to, also after redirects; empty for all


#: The schemes of proxies that some transport can use.
_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


def check_proxy(
    proxy: Secret, transport: Transport | type[Transport], on_secret: Callable[[str], None], name: str = '"proxy"'
) -> Secret:
    """Return the URL of a proxy; raise ConfigError if the transport cannot use it. `on_secret` gets its password."""
    try:
        parts = urlsplit(proxy.reveal())
        extra = parts.path.strip("/") or parts.query or parts.fragment
        usable = parts.scheme in _PROXY_SCHEMES and parts.hostname and parts.port != 0 and not extra
    except ValueError:
        usable = False
    if not usable:  # the message must not contain it
        hint = "Use http://proxy.example:3128, or socks5h://proxy.example:1080 with the transport curl."
        raise ConfigError(f"{name} is not the URL of a proxy.", hint=hint)
    if parts.scheme not in transport.proxy_schemes:
        message = f"The transport {transport.name!r} cannot use the {parts.scheme} proxy of {name}."
        hint = "Set transport to \"curl\", and install it: pip install 'argosy[curl]'."
        raise ConfigError(message, hint=hint)
    if parts.password:
        for password in {parts.password, unquote(parts.password)}:
            on_secret(password)
    return proxy


def environment_proxies(transport: Transport, on_secret: Callable[[str], None]) -> dict[str, Secret]:
    """Return the proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...) for `Network.proxies`."""
    found = {scheme: Secret(url) for scheme, url in getproxies().items() if scheme in ("http", "https", "all", "no")}
    for scheme in found.keys() - {"no"}:
        url = found[scheme].reveal()
        with_scheme = Secret(url if "://" in url else f"http://{url}")
        found[scheme] = check_proxy(with_scheme, transport, on_secret, f"The environment variable {scheme}_proxy")
    return found


def header_field(name: str, given: str | Mapping[str, str], secret: Callable[[Mapping[str, str]], Secret]) -> Secret:
    """Return the value of a header field of the configuration; raise ConfigError if it cannot be sent."""
    value = Secret(given) if isinstance(given, str) else secret(given)
    if (problem := problem_of({name: value.reveal()})) is not None:
        raise ConfigError(f'"headers": {problem}.', hint='Other fields are in "auth", "user_agent" and "referer".')
    return value


class _NoJar(RequestsCookieJar):
    """Keeps no cookies."""

    def extract_cookies(self, *_: object) -> None:
        """Do not even parse the cookies of a response."""


@contextlib.contextmanager
def _valid_urls() -> Iterator[None]:
    """Let URLs that urllib3 cannot use be those that requests calls invalid."""
    try:
        yield
    except (ValueError, OverflowError, urllib3.exceptions.LocationValueError) as error:
        if isinstance(error, requests.RequestException):
            raise
        # an empty or overlong label of a host, a port beyond 65535, a Location that is not UTF-8
        raise requests.exceptions.InvalidURL("not a valid URL") from None


class PlainSession(requests.Session):
    """A requests session that ignores ``.netrc`` and uninvited proxies, and sends no credentials to another origin."""

    def __init__(self, network: Network = Network(), adapter: Adapter | None = None) -> None:
        super().__init__()
        if adapter is not None:
            self.mount("https://", adapter)
            self.mount("http://", adapter)
        self.trust_env = False
        self._network = network
        self.verify = True if network.ca_bundle is None else str(network.ca_bundle)
        self.allow_downgrade = network.allow_downgrade
        self._led_to: set[str] = set()  # origins that redirects led to, which get no configured header fields
        self.proxies = {scheme: url.reveal() for scheme, url in network.proxies.items()}
        self.max_redirects = MAX_REDIRECTS
        self.cookies = _NoJar()
        self.headers["User-Agent"] = network.user_agent or f"argosy/{__version__}"
        self.headers["Accept-Encoding"] = "identity"  # a truncated compressed body may end without an error

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request with the configured header fields."""
        prepared = super().prepare_request(request)
        self._add_fields(prepared)
        return prepared

    def _add_fields(self, request: requests.PreparedRequest, *, is_redirected: bool = False) -> None:
        """Add the configured header fields that the caller did not set."""
        network, url = self._network, request.url or ""
        if not network.headers and not network.referer:
            return
        with _valid_urls():
            fields = referer_of(network.referer, url)
            is_redirected = is_redirected or origin_of(url) in self._led_to
            if origin_of(url) in network.header_origins or not (network.header_origins or is_redirected):
                fields |= {name: value.reveal() for name, value in network.headers.items()}
        for name, value in fields.items():
            if request.headers.get(name) in (None, self.headers.get(name)):
                request.headers[name] = value

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop what may be a credential, and send no body, if a redirect leads to another origin.

        requests drops only ``Authorization``, and sends a form with its password on after a 307.
        """
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]  # not in the stubs
        old, new = origin_of(response.request.url or ""), origin_of(prepared_request.url or "")
        if new.startswith("http:") and (old.startswith("https:") or is_downgraded(response.request)):
            prepared_request.argosy_redirected_by = response  # type: ignore[attr-defined]  # a note for `send`
        if old == new:
            return
        if prepared_request.body is not None:
            raise InvalidAnswer("a redirect would have sent the body of the request to another origin")
        for name in [name for name in prepared_request.headers if name.lower() not in _HARMLESS]:
            del prepared_request.headers[name]
        self._add_fields(prepared_request, is_redirected=True)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request as `requests.Session.send` does, but no redirect from https to http unless that is allowed."""
        if is_downgraded(request) and not self.allow_downgrade:
            response = request.argosy_redirected_by  # type: ignore[attr-defined]  # the note of `rebuild_auth`
            raise Downgraded("a redirect leads from https to http", request=request, response=response)
        with _valid_urls():
            return super().send(request, **kwargs)


class _LoginRequests(PlainSession):
    """The requests of a login, whose plugin may follow redirects itself."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, and note where a redirect leads."""
        response = super().send(request, **kwargs)
        if response.is_redirect:
            with contextlib.suppress(ValueError):
                self._led_to |= {origin_of(urljoin(response.url, response.headers["Location"]))} - {
                    origin_of(response.url)
                }
        return response


class _LoginAdapter(Adapter):
    """Sends the cookies of a login and adds those of the responses, without a lease."""

    target: NewSession

    def __init__(self, timeout: tuple[float, float], transport: Transport | None) -> None:
        self.timeout = timeout
        self.body_limits = BodyLimits(total=timeout[1], size=OF_A_LOGIN)
        super().__init__(transport)

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, *args: Any, **options: Any
    ) -> requests.Response:
        hop = _LoginHop(request, self.target, self.timeout[1])
        incoming = self.pass_on(hop, *args, **options)
        assert hop.headers is not None  # noqa: S101 - the contract of transports
        return self.response(request, hop.headers, incoming)


class _LoginHop(Hop):
    """One request of a login, on a connection of its own."""

    def __init__(self, request: requests.PreparedRequest, target: NewSession, seconds: float) -> None:
        self.request = request
        self.deadline = math.inf
        self.headers: ResponseHeaders | None = None
        self._target = target
        self._seconds = seconds
        # a server may close an old one just when the form is sent, and may have accepted the form or not
        request.headers["Connection"] = "close"

    def authorize(self) -> requests.PreparedRequest:
        """Return the request with the cookies so far."""
        self.deadline = time.monotonic() + self._seconds
        request = self.request
        request.headers.pop("Cookie", None)
        cookies = jar.cookie_header(self._target.cookies, request.url or "", time.time())
        if cookies is not None and not is_downgraded(request):
            request.headers["Cookie"] = cookies
        return request

    def sending(self) -> None:
        """Expect the response."""

    def received(self, headers: ResponseHeaders) -> None:
        """Take the cookies."""
        target, now, self.headers = self._target, time.time(), headers
        fields = () if is_downgraded(self.request) else headers.all("Set-Cookie")
        date = next(iter(headers.all("Date")), None)
        cookies = jar.settle(target.cookies, fields, self.request.url or "", now, date)
        target.cookies = jar.within_bounds(cookies, target.login_cookies, now)


def open_session(
    timeout: tuple[float, float], number: int = 1, network: Network = Network(), transport: Transport | None = None
) -> NewSession:
    """Return an empty session for a login; the timeouts are to connect, and for the headers and body of each response."""
    adapter = _LoginAdapter(timeout, transport)
    adapter.target = NewSession(_LoginRequests(network, adapter), number)
    return adapter.target


#: What became of the session of a refused request: "overtaken" by another login, or "unknown" if nothing was accepted on it.
_Verdict = Literal["good", "ended", "overtaken", "unknown"]


class AuthorizedSession(PlainSession):
    """Sends requests on one session; after a refusal, it renews the session and sends the request again.

    `timeout` is in seconds: to connect, and between two pieces of a body. `doubts` is set once a login did not help, for
    all sessions of an account. `on_accepted` gets the time when each accepted request was sent, and the logins until then.
    """

    def __init__(
        self,
        adapter: LeasedAdapter,
        is_refusal: Callable[[ResponseHead], bool],
        *,
        timeout: tuple[float, float] = (10.0, 60.0),
        doubts: threading.Event | None = None,
        on_accepted: Callable[[float, int], None] = lambda sent_at, logins: None,
        network: Network = Network(),
        signer: PluginSigner | None = None,
    ) -> None:
        super().__init__(network, adapter)
        self.manager = adapter.manager
        self._is_refusal = is_refusal
        self._timeout = (timeout[0], max(timeout[1], adapter.deadline))  # the deadline cuts late headers
        self._doubts = doubts or threading.Event()
        self._on_accepted = on_accepted
        self._signer = signer
        self._proof: tuple[str, Mapping[str, str]] | None = None  # a URL that was accepted, and its header fields
        self._accepted_issue: tuple[int, int] | None = None
        self._ended_issue: tuple[int, int] | None = None  # proved by requesting `_proof`
        self._proving = threading.Lock()

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; raise `Refused` if the session is good but does not help, `SessionError` if it is lost."""
        kwargs.setdefault("timeout", self._timeout)
        stream, kwargs["stream"] = kwargs.get("stream", False), True
        refused_issue: tuple[int, int] | None = None
        ended = 0
        while True:
            response = self._send_once(method, url, *args, **kwargs)
            # another thread may log in between two hops: it is the first hop's token that was refused
            stamp = _stamp(_hops(response)[0])
            if not self._refuses(response):
                self._accept(response, kwargs.get("headers"))
                if not stream:
                    response._content = read_content(response, IN_MEMORY, whole=True)
                    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs
                return response
            discard(response)
            self._raise_without_cookies(response)
            # a session that another login has ended says nothing about this request
            renewed = refused_issue not in (None, stamp.issue) and not self.manager.is_suspect
            if renewed:
                self._doubts.set()
            if self._doubts.is_set() or not self.manager.policy.renewable:
                verdict = self._verdict(stamp, but=response.url)
                if renewed and verdict != "overtaken":
                    self.manager.fruitless()
                    weight = AMONG_OTHERS if self._accepted_issue == stamp.issue else ALONE
                    ended += weight if verdict == "ended" else MAX_ENDED
                if verdict == "good" or ended >= MAX_ENDED:
                    raise Refused(
                        f"The service refuses this although the session is good (status {response.status_code}).",
                        kind="refused",
                        hint="Check in a browser whether this account may download it. If the response is not a login "
                        "page, change the auth plugin's option refusal.",
                    )
            self.manager.refused(stamp, again=refused_issue == stamp.issue)
            refused_issue = stamp.issue

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request to be signed when it gets its lease."""
        prepared = super().prepare_request(request)
        if self._signer is not None and request.auth is None:
            self._signer.attach(prepared)
        return prepared

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Sign a redirected request again if it stays at the origin."""
        super().rebuild_auth(prepared_request, response)
        # a signer may have sent a copy of the request itself (Digest)
        signed = [hop.request for hop in _hops(response) if hasattr(hop.request, "argosy_signer")]
        is_same_origin = origin_of(prepared_request.url or "") == origin_of(response.url)
        if self._signer is not None and signed and is_same_origin:
            self._signer.attach(prepared_request, signed[-1])

    def _send_once(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, but stop at a redirect from https to http: it is a refusal if it leads to a login page."""
        try:
            is_plain = method == "GET" and not args and kwargs.keys() <= _PLAIN
            if is_plain and not self.params and "@" not in str(url):
                return self._get(url, **kwargs)
            return super().request(method, url, *args, **kwargs)
        except Downgraded as error:
            response = error.response
            assert response is not None  # noqa: S101 - the redirect
            response.url = (error.request and error.request.url) or response.url
            response.argosy_downgraded = error  # type: ignore[attr-defined]  # a note for `_accept`
            return response

    def _get(self, url: str | bytes, headers: Mapping[str, str] | None = None, **options: Any) -> requests.Response:
        """Send a GET without merging all settings of the session, which takes three times as long."""
        request = requests.PreparedRequest()
        request.method = "GET"
        if isinstance(url, str) and _NORMAL.fullmatch(url) and "/." not in url:
            request.url = url
        else:
            request.prepare_url(url, None)
        request.headers = CaseInsensitiveDict(self.headers)  # type: ignore[arg-type]  # all are text
        request.headers.update(headers or {})
        self._add_fields(request)
        request._cookies = self.cookies  # type: ignore[attr-defined]  # a redirect needs a jar, even an empty one
        if self._signer is not None:
            request.prepare_hooks(self.hooks)
            self._signer.attach(request)
            return self.send(request, proxies=self.proxies, **options)
        options |= {"verify": self.verify, "proxies": self.proxies}
        follows = options.pop("allow_redirects", True)
        with _valid_urls():
            response = self.get_adapter(request.url or "").send(request, **options)
            if response.is_redirect and follows:
                hops: list[requests.Response] = [response, *self.resolve_redirects(response, request, **options)]
                response = hops.pop()
                response.history = hops
        return response

    def _refuses(self, response: requests.Response) -> bool:
        """Judge a response, and count refusals."""
        # no login page comes in parts
        is_whole = response.request.method != "HEAD" and response.status_code not in (206, 304)
        is_page = is_whole and is_html(response.headers)
        request = _hops(response)[0].request
        final = response.url
        with contextlib.suppress(ValueError):  # a redirect that the caller does not follow
            final = urljoin(final, self.get_redirect_target(response) or "")
        head = ResponseHead(
            urldefrag(request.url or "").url,
            final,
            response.status_code,
            response.headers,
            peek(response, PEEK) if is_page else b"",
            str(request.headers.get("Accept", "*/*")),
            functools.partial(peek, response, PEEK) if is_whole else None,
        )
        refused = self._is_refusal(head)
        if refused:
            self.manager.count_refusal()
        return refused

    def _accept(self, response: requests.Response, fields: Mapping[str, str] | None) -> None:
        """Record that the service accepted the session."""
        if (downgraded := getattr(response, "argosy_downgraded", None)) is not None:
            raise downgraded
        for hop in _hops(response):  # each had its own lease
            self.manager.accepted(_stamp(hop))
        last = _stamp(response)
        self._on_accepted(response.argosy_sent_at, last.logins)  # type: ignore[attr-defined]  # the adapter's note
        if response.ok and response.request.method == "GET":  # after a redirect, the fields may be another origin's
            self._proof = response.url, {} if response.history or fields is None else fields
        self._accepted_issue = last.issue

    def _verdict(self, stamp: Stamp, but: str) -> _Verdict:
        """Request a URL that was accepted before: if it still is, the session is not the reason for the refusal.

        Without this, each file that the service denies this account would cost a login, or the session.
        """
        with self._proving:  # one thread for all: the token of an ended session is not sent again
            verdict: _Verdict = "unknown"
            if self._proof is not None and self._proof[0] != but and not self._is_overtaken(stamp):
                is_good = self._ended_issue != stamp.issue and self._is_good()
                verdict = "good" if is_good else "ended"
            return "overtaken" if self._is_overtaken(stamp) else verdict

    def _is_overtaken(self, stamp: Stamp) -> bool:
        """Return whether another login has replaced the session: then the refusal is about the old one."""
        record = self.manager.store.read(self.manager.session)
        return record is not None and record.issue != stamp.issue

    def _is_good(self) -> bool:
        # not HEAD: a login page with status 200 can only be recognized by its body
        url, fields = self._proof or ("", {})
        fields = {name: value for name, value in fields.items() if name not in ("Range", "If-Range")}
        response = self._send_once("GET", url, headers=fields, stream=True, timeout=self._timeout)
        try:
            if refused := self._refuses(response):
                self._ended_issue = _stamp(_hops(response)[0]).issue
            return not refused
        finally:
            if self.manager.policy.lease_mode is LeaseMode.EXCLUSIVE_TO_END:
                discard(response, size=math.inf, seconds=LEASED_SECONDS)  # or its lease would end in doubt
            response.close()

    def _raise_without_cookies(self, response: requests.Response) -> None:
        """Raise if the session has no cookies at all for the hosts of a refused request: no login can help."""
        record = self.manager.store.read(self.manager.session)
        if self._signer is not None or record is None or record.headers or not record.cookies:
            return
        # an imported session may have received others since, which any visitor gets
        ours = tuple(cookie for cookie in record.cookies if cookie.scheme is None) or record.cookies
        urls = [hop.request.url or "" for hop in _hops(response)]
        if any(jar.concerns(ours, url) for url in urls):
            return
        origins = ", ".join(sorted({f"{c.scheme}://{c.domain}:{c.port}" if c.scheme else c.domain for c in ours})[:5])
        text = f"The service refuses this, and the session has no cookie for {origin_of(urls[0])}"
        hint = "Log in at that site, or import its cookies."
        raise Refused(f"{text}: its cookies are for {origins}.", kind="refused", hint=hint)


def _hops(response: requests.Response) -> tuple[requests.Response, ...]:
    return (*response.history, response)


def _stamp(response: requests.Response) -> Stamp:
    stamp: Stamp = response.argosy_stamp  # type: ignore[attr-defined]  # the adapter's note
    return stamp
