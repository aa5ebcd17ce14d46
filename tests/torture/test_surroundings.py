"""The torture table: hostile answers and odd surroundings."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voyage import run_urls

_FORM = '<form method="post"><input name="user"></form>'


@pytest.mark.torture(172)
@pytest.mark.parametrize("rotates", [False, True])
def test_a_service_that_sets_new_cookies_with_each_answer(
    tmp_path: Path, raw_server: Callable[..., Any], rotates: bool
) -> None:
    tokens, refused, sent = list[str](), list[bytes](), list[int]()

    def answer(server: Any, connection: socket.socket) -> None:
        while head := server.request(connection):
            found = re.search(rb"\btoken=(\w+)", head)
            is_login, is_form = head.startswith(b"POST"), head.startswith(b"GET /login")
            sent.append(len(head))
            status, body, cookies = "200 OK", "book", []
            if len(head) > 8000:
                status = "431 Request Header Fields Too Large"
            elif is_form:
                body = _FORM
            elif not is_login and (found is None or found[1].decode() != tokens[-1]):
                refused.append(head)
                status = "401 Unauthorized"
            elif is_login or rotates:
                tokens.append(f"t{len(tokens)}")
                cookies = [f"token={tokens[-1]}; Path=/; HttpOnly"]
            cookies += [f"noise-{len(sent)}-{number}=1; Path=/" for number in range(95)]
            lines = [f"Set-Cookie: {cookie}" for cookie in cookies]
            kind = "Content-Type: text/html" if is_form else "Content-Type: text/plain"
            lines = [f"HTTP/1.1 {status}", kind, f"Content-Length: {len(body)}", *lines, "", body]
            connection.sendall("\r\n".join(lines).encode())
            if is_login:
                return  # its body may still come

    server = raw_server(answer)
    voyage = run_urls(
        tmp_path,
        *(f"{server.url}/{number}" for number in range(8)),
        auth={"use": "form-login", "url": f"{server.url}/login", "fields": {"user": "ada"}},
        cookie_store={"use": "json-file", "path": "cookies.json"},
        max_workers=1,
    )
    for _ in range(2):
        done = voyage.run("--force")
        assert done.returncode == 0, done.stderr
    assert refused == []
    assert max(sent) < 3000
    (record,) = json.loads((tmp_path / "cookies.json").read_text("utf-8"))["sessions"].values()
    assert len(record["cookies"]) <= 50
