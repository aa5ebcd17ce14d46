"""The options of the Redis store, and the arguments of its connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from argosy.errors import ConfigError
from argosy.interfaces.base import PluginContext

_PORT: Final = 6379

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "description": "The server: redis://HOST:PORT/DB, or rediss:// with TLS. Instead of host, port and db.",
        },
        "host": {"type": "string", "minLength": 1, "description": "The server's name or address."},
        "port": {
            "type": "integer",
            "minimum": 1,
            "maximum": 65535,
            "description": f"Its port, usually {_PORT}.",
        },
        "db": {
            "type": "integer",
            "minimum": 0,
            "description": "The number of the database on it, usually 0.",
        },
        "user": {
            "type": "string",
            "minLength": 1,
            "description": "The user's name, if the server has users.",
        },
        "password": {"$ref": "argosy:common#/$defs/secret"},
        "tls": {
            "type": "boolean",
            "default": False,
            "description": "Whether to use TLS; implied by rediss:// and by ca_bundle.",
        },
        "ca_bundle": {
            "type": "string",
            "minLength": 1,
            "description": "A file with the certificate authorities to trust instead of the system's.",
        },
        "certificate": {
            "type": "string",
            "minLength": 1,
            "description": "A file with a client certificate; needs key.",
        },
        "key": {
            "type": "string",
            "minLength": 1,
            "description": "A file with the private key of certificate.",
        },
        "prefix": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_.:/-]+$",
            "default": "argosy",
            "description": "The prefix of all keys. Programs with the same prefix share sessions.",
        },
        "ttl": {
            "type": "number",
            "minimum": 0.5,
            "maximum": 300,
            "default": 10,
            "description": "Seconds until a program that died or was stopped loses its hold on a session.",
        },
        "reconnect": {
            "type": "number",
            "minimum": 0,
            "maximum": 600,
            "default": 15,
            "description": "Seconds to wait for a server that does not answer.",
        },
    },
    "dependentRequired": {"certificate": ["key"], "key": ["certificate"]},
}


@dataclass(frozen=True)
class Options:
    """The options, as arguments; `client` goes to `redis.Redis` and contains the password."""

    where: str
    client: Mapping[str, Any]
    prefix: str
    ttl: float
    patience: float

    def __repr__(self) -> str:
        return f"Options({self.where!r})"

    @classmethod
    def of(cls, options: Mapping[str, Any], context: PluginContext) -> Options:
        """Return the options of a store, or raise a `ConfigError`."""
        host, port, db, tls = _server(options)
        client: dict[str, Any] = {"host": host, "port": port, "db": db}
        if "user" in options:
            client["username"] = options["user"]
            if "password" not in options:
                raise _wrong("has a user but no password", '"password": {"env": NAME}, or {"file": PATH}.')
        if "password" in options:
            client["password"] = context.secret(options["password"]).reveal()
        files = {"ca_bundle": "ssl_ca_certs", "certificate": "ssl_certfile", "key": "ssl_keyfile"}
        for option, argument in files.items():
            if option in options:
                path = context.path(options[option])
                if not path.is_file():
                    raise _wrong(f"names {path} as its {option}, but there is no such file", "Correct the path.")
                client[argument] = str(path)
                tls = True
        if tls:  # redis-py 5 does not check the host name of a certificate by default
            client |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        return cls(
            where=f"{f'[{host}]' if ':' in host else host}:{port}",
            client={**client, "ssl": tls},
            prefix=options.get("prefix", "argosy"),
            ttl=float(options.get("ttl", 10)),
            patience=float(options.get("reconnect", 15)),
        )


def _server(options: Mapping[str, Any]) -> tuple[str, int, int, bool]:
    """Return host, port and database, and whether to use TLS."""
    tls = bool(options.get("tls", False))
    if "url" not in options:
        return options.get("host", "localhost"), options.get("port", _PORT), options.get("db", 0), tls
    if both := [name for name in ("host", "port", "db") if name in options]:
        raise _wrong(f"has a url and {' and '.join(both)}", "Use the url, or host, port and db.")
    shape = 'Write "url": "redis://HOST:PORT/DB", or give host, port and db.'
    try:
        parts = urlsplit(options["url"])
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise _wrong("has an invalid url", shape) from None
    if parts.username is not None or parts.password is not None:  # which the message must not show
        raise _wrong(
            "has a user or a password in its url",
            'Use "user": NAME, "password": {"env": NAME} or {"file": PATH}.',
        )
    db = unquote(parts.path.strip("/")) or "0"
    if (
        parts.scheme not in ("redis", "rediss")
        or not host
        or not db.isdecimal()
        or not db.isascii()
        or parts.query
        or parts.fragment
    ):
        raise _wrong("has an invalid url", shape)
    return host, port, int(db), tls or parts.scheme == "rediss"


def _wrong(what: str, hint: str) -> ConfigError:
    return ConfigError(f"The cookie store redis {what}.", hint=hint)
