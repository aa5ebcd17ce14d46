"""A session whose credentials stay at their origin."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from argosy.http.session import PlainSession

StartServer = Callable[[Any], Any]


def leads_to(start: StartServer, url: str, status: str = "302 Found") -> Any:
    def script(connection: socket.socket, number: int) -> None:
        head = f"HTTP/1.1 {status}\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)

    return start(script)


FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


@pytest.mark.torture(11)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_header_that_may_be_a_credential_crosses_an_origin(raw_server: StartServer, host: str) -> None:
    other = raw_server(FINE)
    server = leads_to(raw_server, other.url.replace("127.0.0.1", host) + "/x")
    with PlainSession() as http:
        http.headers["X-Api-Key"] = "s3cret-1"
        headers = {"Authorization": "Bearer s3cret-2", "Range": "bytes=5-", "X-Other": "s3cret-3"}
        assert http.get(server.url, headers=headers).text == "fine"
    assert server.heads[0].count("s3cret") == 3
    assert "s3cret" not in other.heads[0]
    assert "Range: bytes=5-" in other.heads[0]


def test_headers_stay_where_the_origin_does(raw_server: StartServer) -> None:
    def script(connection: socket.socket, number: int) -> None:
        if number == 0:
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
        else:
            connection.sendall(FINE)

    server = raw_server(script)
    with PlainSession() as http:
        http.headers["X-Api-Key"] = "s3cret"
        assert http.get(server.url + "/a").text == "fine"
    assert [head.count("s3cret") for head in server.heads] == [1, 1]


@pytest.mark.torture(11)
def test_no_form_is_sent_to_another_origin(raw_server: StartServer) -> None:
    other = raw_server(FINE)
    server = leads_to(raw_server, other.url, "307 Temporary Redirect")
    with PlainSession() as http, pytest.raises(requests.RequestException, match="another origin"):
        http.post(server.url, data={"password": "s3cret"})
    assert other.heads == []
