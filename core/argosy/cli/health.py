"""What ``argosy doctor`` checks: this machine, and with a configuration its directory, its store and its service."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import itertools
import math
import os
import platform
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import argosy
from argosy.errors import ArgosyError
from argosy.toolkit.text import one_line, plural, size_text, time_text

if TYPE_CHECKING:
    import requests

    from argosy.config.settings import Settings
    from argosy.engine.context import RunContext
    from argosy.interfaces.base import PluginContext
    from argosy.plugins.manager import PluginManager

#: Open files below which many workers run out of them; free bytes and seconds of clock difference that are worth a word.
FEW_FILES, LITTLE_SPACE, SKEW = 256, 10**9, 60.0

#: The cure for a session that is lost after each run.
_LASTING = 'Set "cookie_store": {"use": "json-file", "path": "cookies.json"}.'

#: Statuses after which no more requests are sent.
THROTTLES = (429, 503)

#: Hosts of a list that are looked at, and items of it that are read for that.
MOST_HOSTS, MOST_ITEMS = 5, 1000

#: Takes the lock of a file in another process, if that is possible at once.
_OTHER = "import sys, pathlib; from argosy.toolkit.locks import FileLock; print(FileLock(pathlib.Path(sys.argv[1])).acquire(wait=False))"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    level: Literal["ok", "warning", "problem"]
    text: str
    cure: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, cure: str = "") -> Finding:
    """Return a finding that may matter."""
    return Finding(check, "warning", text, cure)


def problem(check: str, error: ArgosyError | str, cure: str = "") -> Finding:
    """Return a finding with which downloads fail."""
    if isinstance(error, ArgosyError):
        lines = [error.message, *map(str, error.problems)]
        return Finding(check, "problem", "\n".join(lines), error.hint or cure)
    return Finding(check, "problem", error, cure)


def of_machine(plugins: PluginManager) -> Iterator[Finding]:
    """Check what every download needs."""
    yield ok(
        "argosy",
        f"{argosy.__version__} on {platform.python_implementation()} {platform.python_version()}, {platform.system()}",
    )
    try:
        yield ok("plugins", f"{plural(len(plugins.plugins()), 'plugin')} can be used")
    except ArgosyError as error:
        yield problem("plugins", error)
    missing = sorted(_missing_extras())
    cure = "Only for what needs them: pip install 'argosy[NAME]'"
    yield (
        warning("extras", f"not installed: {', '.join(missing)}", cure)
        if missing
        else ok("extras", "all are installed")
    )
    yield from _open_files()
    with tempfile.TemporaryDirectory(prefix="argosy-doctor-") as folder:
        yield _locks("temporary folder", Path(folder))
    try:
        from argosy.config.location import targets

        yield from _folder("own folder", targets().parent)
    except ArgosyError as error:
        yield problem("own folder", error)


def _missing_extras() -> set[str]:
    """Return the extras of argosy with a package that is not installed, without those for developers."""
    needed = re.compile(r"""([A-Za-z0-9._-]+).*extra\s*==\s*['"]([a-z0-9-]+)['"]""")
    missing = set()
    for text in importlib.metadata.requires("argosy") or []:
        if (found := needed.match(text)) and found[2] not in ("test", "dev", "docs", "benchmarks"):
            try:
                importlib.metadata.version(found[1])
            except importlib.metadata.PackageNotFoundError:
                missing.add(found[2])
    return missing


def _open_files() -> Iterator[Finding]:
    with contextlib.suppress(ImportError):  # not POSIX
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < FEW_FILES:
            yield warning("open files", f"at most {soft}", "Allow more (ulimit -n 1024), or use few workers.")


def _locks(check: str, folder: Path, shown: Path | None = None) -> Finding:
    """Check with another process that a lock keeps it out, and that it gets the lock afterwards."""
    from argosy.toolkit.locks import FileLock

    path = folder / f".argosy-doctor-{os.getpid()}.lock"
    lock = FileLock(path)
    said = []
    try:
        lock.acquire(wait=False)
        said.append(_other(path))
        lock.release()
        said.append(_other(path))
    except ArgosyError as error:
        return problem(check, error)
    finally:
        lock.close()
        path.unlink(missing_ok=True)
    if said == ["False", "True"]:
        return ok(check, f"locks work in {shown or folder}")
    return problem(
        check,
        f"locks do not work in {shown or folder}: two processes can hold one at the same time",
        "Keep the session on a local disk: argosy cannot protect its token here.",
    )


def _other(path: Path) -> str:
    done = subprocess.run([sys.executable, "-c", _OTHER, str(path)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _folder(check: str, folder: Path) -> Iterator[Finding]:
    """Check that a folder, or the nearest one above it, can be written to; its space; and locks in it."""
    near = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".argosy-doctor-", dir=near) as made:
            (Path(made) / "a").write_bytes(b"x")
            try:
                os.link(Path(made) / "a", Path(made) / "b")
            except OSError:
                yield warning(check, f"no hard links in {near}: argosy copies each file once more than elsewhere")
            free = shutil.disk_usage(made).free
            yield _locks(check, Path(made), folder) if near == folder else ok(check, f"{folder} can be made")
    except OSError as error:
        yield problem(check, f"{near} cannot be written to: {error.strerror}", "Check its permissions and the disk.")
        return
    if free < LITTLE_SPACE:
        yield warning(check, f"only {size_text(free)} are free in {near}", "Free some space.")
    else:
        yield ok(check, f"{size_text(free)} are free in {near}")


# -- with a configuration


def of_storage(settings: Settings, plugins: PluginManager) -> Iterator[Finding]:
    """Check the target directory and the cookie store."""
    from argosy.config.location import open_storage
    from argosy.interfaces.base import PluginContext
    from argosy.interfaces.cookie_store import CookieStore

    context = PluginContext(settings.base, settings.directory)
    if settings.remote is None:
        yield from _folder("directory", settings.directory)
    else:
        try:
            storage = open_storage(settings.remote, plugins, context)
            try:
                storage.prepare()
            finally:
                storage.close()
            yield ok("directory", f"{settings.where} can be reached")
        except ArgosyError as error:
            yield problem("directory", error)
    name = settings.cookie_store["use"]
    try:
        store = plugins.make(CookieStore, settings.cookie_store, context)
        try:
            sessions = store.sessions()
        finally:
            store.close()
    except ArgosyError as error:
        yield problem("sessions", error)
        return
    if settings.auth["use"] == "none":
        yield ok("sessions", "no login is configured")
    elif name == "memory":
        yield warning("sessions", "the cookie store `memory` loses the session, so each run logs in", _LASTING)
    else:
        yield ok("sessions", f"the cookie store {name} has {plural(len(sessions), 'session')}")
        if (path := settings.cookie_store.get("path")) and (
            folder := (settings.base / Path(path).expanduser()).parent
        ).is_dir():
            yield _locks("sessions", folder)
            yield _survives(settings.cookie_store, folder, plugins, context)


def _survives(options: Mapping[str, Any], folder: Path, plugins: PluginManager, context: PluginContext) -> Finding:
    """Write a session to a new store beside the real one, which is only read, and open it again."""
    from argosy.interfaces.cookie_store import CookieStore
    from argosy.models.session import SessionRecord

    name, read = "doctor", None
    try:
        with tempfile.TemporaryDirectory(prefix=".argosy-doctor-", dir=folder) as made:
            for is_second in (False, True):
                store = plugins.make(CookieStore, {**options, "path": str(Path(made, "store"))}, context)
                try:
                    release = store.acquire(name)
                    if is_second:
                        read = store.read(name)
                    else:
                        store.write(SessionRecord(name, generation=1), 0)
                        store.sync()
                    if release is not None:
                        release()
                finally:
                    store.close()
    except ArgosyError as error:
        return problem("sessions", error)
    except OSError as error:
        return problem("sessions", f"{folder} cannot be written to: {error.strerror}", "Check its permissions.")
    if read is None:
        return problem("sessions", f"a session that was written in {folder} is gone", "Choose another cookie store.")
    return ok("sessions", f"a session that is written in {folder} can be read again")


def urls_of(settings: Settings, plugins: PluginManager) -> tuple[list[str], str | None]:
    """Return a URL of each host that the configuration names, the login page first, and that of a file."""
    from argosy.engine.plan import items_of
    from argosy.interfaces.base import PluginContext
    from argosy.interfaces.source import Source
    from argosy.toolkit.hosts import host_key
    from argosy.toolkit.stop import Stop

    files: dict[str, str] = {}
    if settings.source is not None:
        source = plugins.make(Source, settings.source, PluginContext(settings.base, settings.directory))
        try:
            if not source.asks and "-" not in settings.source.values():  # standard input can be read only once
                items = itertools.islice(items_of(source, None, Stop(), lambda *_: None), MOST_ITEMS)
                for url in (resource.url for item in items for resource in item.resources):
                    files.setdefault(host_key(url), url)
        finally:
            source.close()
    login = settings.auth.get("url")
    first = {host_key(login): login} if isinstance(login, str) else {}
    return list({**first, **files, **first}.values())[:MOST_HOSTS], next(iter(files.values()), None)


def of_host(url: str, settings: Settings, http: requests.Session) -> Iterator[Finding]:
    """Check the way to the host of a URL: its name, TLS, an answer, and its clock. It sends a HEAD, and no credentials."""
    import requests

    from argosy.toolkit.hosts import host_key

    parts = urlsplit(url)
    check, host = host_key(url), parts.hostname or ""
    is_direct = not http.proxies
    if is_direct:
        try:
            addresses = {
                info[4][0] for info in socket.getaddrinfo(host, parts.port or parts.scheme, type=socket.SOCK_STREAM)
            }
        except (OSError, UnicodeError):
            yield problem(check, "its name does not resolve", "Check the spelling, the network and the name servers.")
            return
        yield ok(check, f"resolves to {', '.join(sorted(map(str, addresses))[:3])}")
    began = time.time()
    try:
        answer = http.head(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/", timeout=(10, 30), allow_redirects=False
        )
    except requests.exceptions.SSLError as error:
        text = f"TLS fails: {_innermost(error)}"
        if is_direct:
            text += f". {_shown_certificate(host, parts.port or 443, settings.timeout.connect)}"
        yield problem(check, text, _tls_cure(settings))
        return
    except requests.RequestException as error:
        from argosy.toolkit.failures import reason_of

        cure = (
            "Check the proxy." if http.proxies else "Check the port, the network and firewalls; a proxy: --env-proxy."
        )
        yield problem(check, f"no answer: {reason_of(error)}", cure)
        return
    trust = "with a certificate that is trusted" if parts.scheme == "https" else "without TLS"
    yield ok(check, f"answers {answer.status_code} in {time_text(time.time() - began)}, {trust}")
    yield from _clock(check, answer, began)


def _clock(check: str, answer: requests.Response, began: float) -> Iterator[Finding]:
    from argosy.models.response_record import seconds_of

    told = seconds_of(answer.headers.get("Date", ""))
    if told is None:
        return
    now = time.time()
    off = 0.0 if began - 1 <= told <= now + 1 else now - told
    if abs(off) > SKEW:
        way = "ahead of" if off > 0 else "behind"
        text = f"this machine's clock is {time_text(abs(off))} {way} the server's"
        yield warning(check, text, "Set the clock (NTP): one-time codes fail, and tokens seem to expire early or late.")


def _shown_certificate(host: str, port: int, timeout: float) -> str:
    """Describe the certificate that a service shows, which is not trusted; it gets no request."""
    text = "The certificate cannot be shown."
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((host, port), timeout) as connection,
            context.wrap_socket(connection, server_hostname=host) as stream,
        ):
            raw = stream.getpeercert(binary_form=True) or b""
        text = f"The certificate has the SHA-256 {hashlib.sha256(raw).hexdigest()[:32]}..."
        # Python decodes only certificates that it trusts: trust this one, for this connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=raw)
        with (
            socket.create_connection((host, port), timeout) as connection,
            context.wrap_socket(connection, server_hostname=host) as stream,
        ):
            seen: Mapping[str, Any] = stream.getpeercert() or {}
    except (OSError, ValueError):
        return text
    names = ", ".join(value for _, value in seen.get("subjectAltName", ())[:5])
    text = f'The certificate of "{_name(seen["subject"])}" ({names or "no names"}), issued by "{_name(seen["issuer"])}"'
    return one_line(f"{text}, is valid until {seen['notAfter']}.")


def _name(parts: Any) -> str:
    return ", ".join(value for part in parts for _, value in part)


def _tls_cure(settings: Settings) -> str:
    bundle = f" It is {settings.ca_bundle} now." if settings.ca_bundle else ""
    return f"If the certificate is your organization's own, set \"ca_bundle\" to its authority's file.{bundle}"


def _innermost(error: BaseException) -> str:
    from argosy.toolkit.failures import reason_of

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or "the certificate is not valid"
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) and inner is not seen else seen.__cause__ or seen.__context__
    return reason_of(error)


def of_token(context: RunContext, url: str, number: int) -> Iterator[Finding]:
    """Log in, request the first byte of a file a few times, and say what the service does with its token."""
    from argosy.http.body import discard
    from argosy.http.session import LEASED_SECONDS
    from argosy.leasing.policy import Tokens

    pool, tokens = context.pool, Tokens.named(context.settings.token_cookies)
    seen: list[dict[str, str]] = []
    answers: list[requests.Response] = []
    try:
        pool.log_in()
        for _ in range(number):
            with pool.http.get(url, stream=True, headers={"Range": "bytes=0-0"}) as answer:
                answers.append(answer)
                if context.settings.lease == "exclusive-to-end":  # or the lease would end in doubt, and cost a login
                    discard(answer, size=math.inf, seconds=LEASED_SECONDS)
            if (record := context.store.read(pool.names[0])) is not None:
                cookies = {cookie.name: cookie.value for cookie in tokens.of(record.cookies)}
                seen.append(cookies | {field.name: field.value for field in record.headers})
            if answer.status_code in THROTTLES:
                break
        pool.sync()
    except (ArgosyError, requests_exceptions()) as error:
        from argosy.toolkit.failures import reason_of

        yield problem("token", error if isinstance(error, ArgosyError) else reason_of(error))
        return
    if any(seen) and len(seen) > 1:
        yield _token_fact(seen)
    elif not any(seen):
        yield ok("token", "the session has no token that responses could replace")
    yield from _answer_facts(answers)


def requests_exceptions() -> type[Exception]:
    """Return what requests raises; it is slow to import."""
    import requests

    return requests.RequestException


def _token_fact(seen: list[dict[str, str]]) -> Finding:
    pairs = list(itertools.pairwise(seen))
    changes = sum(before != after for before, after in pairs)
    number = plural(len(seen), "response")
    if not changes:
        return ok("token", f"the service kept its token over {number} ({', '.join(seen[-1])})")
    names = {name for before, after in pairs for name in after if before.get(name) != after[name]}
    which = ", ".join(sorted(names))
    if changes == len(pairs):
        return ok("token", f"every response replaces the token ({which}): parallel requests need the lease")
    return ok("token", f"{changes} of {number} replaced the token ({which})")


def _answer_facts(answers: list[requests.Response]) -> Iterator[Finding]:
    last = answers[-1]
    announced = {
        name: value
        for answer in answers
        for name, value in answer.headers.items()
        if "ratelimit" in name.lower() or name.lower() == "retry-after"
    }
    limits = ", ".join(f"{name}: {value[:60]}" for name, value in sorted(announced.items()))
    if last.status_code in THROTTLES:
        yield warning("rate", f"the service limits the rate ({last.status_code}) {limits}", 'Set a "download_delay".')
        return
    if limits:
        yield ok("rate", f"the service announces rate limits: {limits}")
    if not last.ok:
        yield problem("file", f"answers {last.status_code} {last.reason}", "Check the URL in the browser.")
        return
    resumes = last.status_code == 206 or "bytes" in last.headers.get("Accept-Ranges", "")
    validator = next((name for name in ("ETag", "Last-Modified") if name in last.headers), None)
    text = "can be resumed" if resumes and validator else "cannot be resumed safely"
    facts = f"ranges: {'yes' if resumes else 'no'}, {validator or 'no validator'}"
    yield ok("file", f"answers {last.status_code}; a broken download {text} ({facts})")
