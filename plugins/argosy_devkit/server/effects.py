"""The effect of each fault on the plan of a response."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from types import MappingProxyType

from argosy_devkit.fault import Fault
from argosy_devkit.server.answer import Answer, Ending
from argosy_devkit.server.content import Page
from argosy_devkit.server.http import Request, http_date, render_head

_LONG_LINE = 70_000  # just above the 65,536 bytes that http.client allows for a header line


def apply(fault: Fault, answer: Answer, request: Request) -> None:
    """Apply a fault to the plan of a response. Some faults are handled before there is a plan."""
    effect = _EFFECTS.get(fault.kind)
    if effect is not None:
        effect(fault, answer, request)


def _cut(fault: Fault, answer: Answer, request: Request) -> None:
    answer.cut_at(0.5 if fault.fraction is None else fault.fraction)


def _reset(fault: Fault, answer: Answer, request: Request) -> None:
    if fault.fraction is None:
        answer.silent = True
    else:
        answer.cut_at(fault.fraction)
    answer.ending = Ending.RESET


def _lost(fault: Fault, answer: Answer, request: Request) -> None:
    answer.silent, answer.ending = True, Ending.CLOSE


def _hang(fault: Fault, answer: Answer, request: Request) -> None:
    answer.silent, answer.ending, answer.hang_seconds = True, Ending.HANG, fault.seconds


def _close_after(fault: Fault, answer: Answer, request: Request) -> None:
    answer.ending, answer.hang_seconds = Ending.CLOSE, fault.seconds


def _status(fault: Fault, answer: Answer, request: Request) -> None:
    headers = []
    if fault.retry_after is not None:
        headers.append(("Retry-After", str(fault.retry_after)))
    if fault.retry_after_date is not None:
        headers.append(("Retry-After", http_date(time.time() + fault.retry_after_date)))
    answer.replace_content(fault.status, Page(b"Not now.\n", "text/plain; charset=utf-8"), headers)


def _drip_headers(fault: Fault, answer: Answer, request: Request) -> None:
    answer.head_pause = 0.05 if fault.seconds is None else fault.seconds


def _late(fault: Fault, answer: Answer, request: Request) -> None:
    answer.late = 0.2 if fault.seconds is None else fault.seconds


def _slow_drip(fault: Fault, answer: Answer, request: Request) -> None:
    answer.rate = fault.rate


def _wrong_range(fault: Fault, answer: Answer, request: Request) -> None:
    if answer.status == 206:
        answer.start = answer.start // 2 if answer.start else min(1, answer.stop - 1)


def _no_length(fault: Fault, answer: Answer, request: Request) -> None:
    answer.length, answer.ending = "", Ending.CLOSE


def _chunked(fault: Fault, answer: Answer, request: Request) -> None:
    answer.length, answer.chunked = "", True
    answer.headers.append(("Transfer-Encoding", "chunked"))


def _longer(fault: Fault, answer: Answer, request: Request) -> None:
    answer.extra, answer.ending = b"?" * (10 if fault.size is None else fault.size), Ending.CLOSE


def _bad_length(fault: Fault, answer: Answer, request: Request) -> None:
    answer.length, answer.ending = fault.length, Ending.CLOSE


def _redirect(fault: Fault, answer: Answer, request: Request) -> None:
    joint = "&" if "?" in request.target else "?"
    hop = f"1-{fault.hops}" if fault.hops else "loop"
    redirect_to(answer, fault.to or f"{request.target}{joint}hop={hop}")


def redirect_to(answer: Answer, location: str) -> None:
    """Turn a response into a redirect."""
    answer.replace_content(302, Page(b"Elsewhere.\n", "text/plain; charset=utf-8"), [("Location", location)])


def next_hop(request: Request) -> str | None:
    """Return the next target of a request that a fault redirected, or None at the end."""
    hop = request.query.get("hop")
    if hop == "loop":
        return request.target
    done, _, hops = (hop or "").partition("-")
    if not done.isdecimal() or not hops.isdecimal() or int(done) >= int(hops):
        return None
    return request.target.replace(f"hop={hop}", f"hop={int(done) + 1}-{hops}")


def _gzip_truncated(fault: Fault, answer: Answer, request: Request) -> None:
    whole = bytearray()
    while answer.start + len(whole) < answer.stop:
        whole += answer.content.read(answer.start + len(whole), answer.size - len(whole))
    packed = gzip.compress(bytes(whole), compresslevel=1, mtime=0)
    kept = packed[: int(len(packed) * (0.5 if fault.fraction is None else fault.fraction))]
    headers = [*answer.headers, ("Content-Encoding", "gzip")]
    answer.replace_content(200, Page(kept, answer.content.type), headers)


def _early_hints(fault: Fault, answer: Answer, request: Request) -> None:
    answer.before = render_head(103, [("Link", "</style.css>; rel=preload; as=style")])


def _broken_headers(fault: Fault, answer: Answer, request: Request) -> None:
    answer.first_headers.append(("", "this line is no header"))


def _huge_headers(fault: Fault, answer: Answer, request: Request) -> None:
    size = _LONG_LINE if fault.size is None else fault.size
    answer.first_headers += [(f"X-Filler-{number}", "x" * size) for number in range(fault.count)]


def _header(fault: Fault, answer: Answer, request: Request) -> None:
    if fault.only in (0, answer.status):
        answer.set_header(fault.header, fault.value)


def _foreign_cookie(fault: Fault, answer: Answer, request: Request) -> None:
    # the last ones have the token's name: a client that accepts them loses the token
    names = {"visitor", *(value.partition("=")[0] for value in answer.set_cookies)}
    for domain in ("tracker.example", "co.uk", "com"):
        answer.set_cookies += [f"{name}=foreign; Domain={domain}; Path=/" for name in sorted(names)]


_EFFECTS: MappingProxyType[str, Callable[[Fault, Answer, Request], None]] = MappingProxyType(
    {
        "cut": _cut,
        "status": _status,
        "lost": _lost,
        "reset": _reset,
        "hang": _hang,
        "close_after": _close_after,
        "drip_headers": _drip_headers,
        "late": _late,
        "slow_drip": _slow_drip,
        "wrong_range": _wrong_range,
        "no_length": _no_length,
        "chunked": _chunked,
        "longer": _longer,
        "bad_length": _bad_length,
        "redirect": _redirect,
        "gzip_truncated": _gzip_truncated,
        "early_hints": _early_hints,
        "broken_headers": _broken_headers,
        "huge_headers": _huge_headers,
        "header": _header,
        "foreign_cookie": _foreign_cookie,
    }
)
