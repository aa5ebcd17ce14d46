"""The Redis store's way to its server: options, TLS, passwords, and servers that cannot keep a session."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from argosy.errors import ConfigError, StoreDamaged, StoreError
from argosy.interfaces.base import PluginContext
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_redis.options import Options
from argosy_redis.store import RedisStore
from ports import free_port
from redis_process import EVERYTHING

from .conftest import OpenStore, StartRedis

RECORD = SessionRecord("default", 1, (Cookie("token", "s3cret", "library.example"),), logins=1)
PASSWORD = "correct-horse"


@pytest.fixture
def password(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "password.txt").write_text(PASSWORD, "utf-8")
    return {"file": str(tmp_path / "password.txt")}


# -- options


@pytest.mark.parametrize(
    ("options", "where", "client"),
    [
        ({}, "localhost:6379", {"db": 0, "ssl": False}),
        ({"host": "::1", "port": 7000, "db": 3}, "[::1]:7000", {"host": "::1", "db": 3}),
        ({"url": "redis://cache.example"}, "cache.example:6379", {"db": 0, "ssl": False}),
        ({"url": "redis://cache.example:7000/5"}, "cache.example:7000", {"db": 5}),
        ({"url": "rediss://[::1]:7000/"}, "[::1]:7000", {"host": "::1", "db": 0, "ssl": True}),
        ({"host": "cache.example", "tls": True}, "cache.example:6379", {"ssl": True}),
    ],
)
def test_where_the_server_is(options: Mapping[str, Any], where: str, client: Mapping[str, Any]) -> None:
    chosen = Options.of(options, PluginContext())
    assert chosen.where == where
    assert {name: chosen.client[name] for name in client} == client


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": f"redis://ada:{PASSWORD}@cache.example"}, "a user or a password in its url"),
        ({"url": f"redis://:{PASSWORD}@cache.example"}, "a user or a password in its url"),
        ({"url": "redis://ada@cache.example"}, "a user or a password in its url"),
        ({"url": f"redis://ada:{PASSWORD}#@cache.example"}, "an invalid url"),
        ({"url": f"http://ada:{PASSWORD}@cache.example"}, "a user or a password in its url"),
        ({"url": "http://cache.example"}, "an invalid url"),
        ({"url": "redis://cache.example:port"}, "an invalid url"),
        ({"url": "redis://cache.example:70000"}, "an invalid url"),
        ({"url": "redis://cache.example/first"}, "an invalid url"),
        ({"url": f"redis://cache.example/0?password={PASSWORD}"}, "an invalid url"),
        ({"url": "redis://"}, "an invalid url"),
        ({"url": "redis://cache.example", "port": 1}, "a url and port"),
        ({"host": "cache.example", "user": "ada"}, "a user but no password"),
        ({"host": "cache.example", "ca_bundle": "nowhere.pem"}, "nowhere.pem as its ca_bundle"),
        ({"host": "cache.example", "password": {"env": "NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE"),
    ],
)
def test_options_that_cannot_be_right(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        RedisStore(options, PluginContext())
    assert error.value.hint
    assert PASSWORD not in str(error.value)


def test_a_password_in_the_url_is_not_shown_by_a_command(tmp_path: Path) -> None:
    file = tmp_path / "argosy.toml"
    file.write_text(
        'source = { use = "urls", urls = ["https://library.example/1"] }\n'
        f'cookie_store = {{ use = "redis", url = "redis://ada:{PASSWORD}@cache.example", ttl = "soon" }}\n',
        "utf-8",
    )
    for command in (["config", "check"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-m", "argosy", *command, str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_a_missing_library_is_named() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "import argosy\n"
        "try: argosy.open_store('redis')\n"
        "except argosy.errors.ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "needs the library redis-py" in done.stdout
    assert "pip install 'argosy[redis]'" in done.stdout


def test_a_store_cannot_be_pickled() -> None:
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(RedisStore({"host": "127.0.0.1", "port": 1}, PluginContext()))


# -- passwords and users


def test_a_password_is_used_and_shown_nowhere(
    start_redis: StartRedis, open_redis: OpenStore, password: Mapping[str, str]
) -> None:
    server = start_redis(password=PASSWORD)
    store = open_redis(server, password=password)
    store.write(RECORD, 0)
    assert store.found() == RECORD
    seen: list[str] = []
    RedisStore({"port": server.port, "password": password}, PluginContext(on_secret=seen.append))
    assert seen == [PASSWORD], "it is told to what redacts"


@pytest.mark.parametrize("how", ["none", "wrong"])
def test_a_wrong_password_is_an_error_at_once(
    start_redis: StartRedis, open_redis: OpenStore, tmp_path: Path, how: str
) -> None:
    server = start_redis(password=PASSWORD)
    (tmp_path / "wrong").write_text("battery-staple", "utf-8")
    options = {} if how == "none" else {"password": {"file": str(tmp_path / "wrong")}}
    store = open_redis(server, reconnect=60, **options)
    begun = time.monotonic()
    with pytest.raises(StoreError, match="rejects the user or the password") as error:
        store.read("default")
    assert time.monotonic() - begun < 30
    assert server.where in str(error.value)
    assert "battery-staple" not in str(error.value)


def test_a_user_with_the_rights_that_the_hint_names(
    start_redis: StartRedis, open_redis: OpenStore, password: Mapping[str, str]
) -> None:
    server = start_redis()
    admin: Any = server.client()
    admin.execute_command("ACL", "SETUSER", "ada", "on", f">{PASSWORD}", "+@connection", "~*")
    store = open_redis(server, user="ada", password=password)
    with pytest.raises(StoreError, match="lacks permissions that a store needs") as error:
        store.read("default")
    assert error.value.hint
    rights = error.value.hint.rpartition(" on ")[2].replace("{PREFIX}", "{argosy}").split()
    admin.execute_command("ACL", "SETUSER", "ada", "resetkeys", "nocommands", *rights)
    release = store.acquire("default")
    assert release is not None
    store.write(RECORD, 0)
    release()
    store.acquire("default")
    assert (store.found(), store.sessions()) == (RECORD, ["default"])
    store.remove("default")
    admin.close()


# -- TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def files(authority: trustme.CA, folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    issued = authority.issue_cert(name)
    paths = folder / "server.pem", folder / "server.key", folder / "authority.pem"
    issued.cert_chain_pems[0].write_to_path(str(paths[0]))
    issued.private_key_pem.write_to_path(str(paths[1]))
    authority.cert_pem.write_to_path(str(paths[2]))
    return paths


def test_tls_with_an_authority_of_its_own(
    start_redis: StartRedis, open_redis: OpenStore, authority: trustme.CA, tmp_path: Path
) -> None:
    tls = files(authority, tmp_path)
    server = start_redis("--tls-auth-clients", "no", tls=tls)
    store = open_redis(server, ca_bundle=str(tls[2]))
    store.write(RECORD, 0)
    release = store.acquire("default")
    assert release is not None
    assert store.found() == RECORD
    release()


def test_tls_with_a_certificate_of_our_own(
    start_redis: StartRedis, open_redis: OpenStore, authority: trustme.CA, tmp_path: Path
) -> None:
    tls = files(authority, tmp_path)
    server = start_redis("--tls-auth-clients", "yes", tls=tls)
    store = open_redis(server, ca_bundle=str(tls[2]), certificate=str(tls[0]), key=str(tls[1]))
    store.write(RECORD, 0)
    assert store.found() == RECORD
    with pytest.raises(StoreError, match=server.where):
        open_redis(server, ca_bundle=str(tls[2]), reconnect=0).read("default")


@pytest.mark.torture(34)
@pytest.mark.parametrize("what", ["another authority", "another host", "the system's authorities"])
def test_a_certificate_that_cannot_be_trusted_is_refused(
    start_redis: StartRedis, open_redis: OpenStore, authority: trustme.CA, tmp_path: Path, what: str
) -> None:
    tls = files(authority, tmp_path, "cache.example" if what == "another host" else "127.0.0.1")
    server = start_redis("--tls-auth-clients", "no", tls=tls)
    options: dict[str, Any] = {"ca_bundle": str(tls[2])}
    if what == "another authority":
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        options = {"ca_bundle": str(tmp_path / "other.pem")}
    elif what == "the system's authorities":
        options = {"tls": True}
    store = open_redis(server, reconnect=60, **options)
    begun = time.monotonic()
    with pytest.raises(StoreError, match="certificate") as error:
        store.write(RECORD, 0)
    assert time.monotonic() - begun < 30, "waiting does not help"
    assert "ca_bundle" in (error.value.hint or "")


def test_tls_and_a_server_that_does_not_speak_it(start_redis: StartRedis, open_redis: OpenStore) -> None:
    with pytest.raises(StoreError) as error:
        open_redis(start_redis(), tls=True, reconnect=0).read("default")
    assert '"tls"' in (error.value.hint or "")


# -- servers that cannot keep a session


def test_a_replica_is_refused(start_redis: StartRedis, open_redis: OpenStore) -> None:
    primary = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(primary.port))
    with pytest.raises(StoreError, match="it is a replica") as error:
        open_redis(replica, reconnect=0).read("default")
    assert "primary" in (error.value.hint or "")


def test_a_replica_that_takes_the_primarys_place_leaves_doubt(start_redis: StartRedis, open_redis: OpenStore) -> None:
    """It may not have the newest record, even if each change was on the primary's disk."""
    primary = start_redis(*EVERYTHING, "--repl-diskless-sync-delay", "0")
    replica = start_redis("--replicaof", "127.0.0.1", str(primary.port))
    admin: Any = replica.client()
    while admin.info("replication")["master_link_status"] != "up":
        time.sleep(0.02)
    open_redis(primary).write(RECORD, 0)
    while not admin.exists("{argosy}:session:default"):
        time.sleep(0.02)
    store = open_redis(replica, reconnect=30)
    primary.kill()
    admin.execute_command("REPLICAOF", "NO", "ONE")
    admin.close()
    found = store.found()
    assert (found.status.value, found.cookies) == ("in_flight", RECORD.cookies)


def test_a_part_of_a_cluster_is_refused(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with pytest.raises(StoreError, match="part of a Redis Cluster") as error:
        open_redis(server).read("default")
    assert error.value.hint


def test_a_server_that_throws_keys_away_is_named(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    store = open_redis(server)
    for _ in range(3):
        store.read("default")
    assert len(store.told) == 1
    assert "maxmemory-policy allkeys-lru" in store.told[0]


def test_a_server_that_is_full_keeps_the_old_record(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis()
    store = open_redis(server)
    store.write(RECORD, 0)
    admin: Any = server.client()
    admin.config_set("maxmemory", 1)  # byte: less than what an empty server needs
    with pytest.raises(StoreError, match="memory") as error:
        store.write(SessionRecord("default", 2), 1)
    assert "s3cret" not in str(error.value)
    assert store.found() == RECORD
    admin.config_set("maxmemory", "0")
    admin.close()
    store.write(SessionRecord("default", 2), 1)


def test_a_host_that_is_not_there(open_redis: OpenStore) -> None:
    store = RedisStore({"host": "nowhere.invalid", "reconnect": 60}, PluginContext())
    begun = time.monotonic()
    with pytest.raises(StoreError, match=r"nowhere\.invalid:6379 cannot be used"):
        store.read("default")
    assert time.monotonic() - begun < 30, "waiting does not help"
    store.close()


# -- what lies under the store's keys


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("record", b'{"session": "default"}', "checksum does not fit"),
        ("record", b"\xff\xfe", "checksum does not fit"),
        ("checksum", b"", "checksum does not fit"),
        ("version", b"2", "has version 2, and this argosy reads version 1"),
        ("generation", b"7", "belongs to another session"),
        ("generation", b"many", "belongs to another session"),
    ],
)
def test_a_damaged_record_is_refused_and_left_as_it_is(
    start_redis: StartRedis, open_redis: OpenStore, field: str, value: bytes, why: str
) -> None:
    server = start_redis()
    store = open_redis(server)
    store.write(RECORD, 0)
    admin: Any = server.client()
    admin.hset("{argosy}:session:default", field, value)
    before: Any = admin.hgetall("{argosy}:session:default")
    for fresh in (open_redis(server), open_redis(server)):
        with pytest.raises(StoreDamaged, match=why) as error:
            fresh.read("default")
        assert error.value.hint
        assert "s3cret" not in str(error.value)
    with pytest.raises(StoreError):
        store.write(SessionRecord("default", 2), 1)
    assert admin.hgetall("{argosy}:session:default") == before
    admin.close()


def test_keys_of_somebody_else_are_left_as_they_are(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis()
    admin: Any = server.client()
    admin.set("{argosy}:session:default", "a letter")
    store = open_redis(server)
    calls: list[Callable[[], object]] = [lambda: store.read("default"), lambda: store.write(RECORD, 0)]
    for call in calls:
        with pytest.raises(StoreDamaged, match="other data under the store's keys") as error:
            call()
        assert '"prefix"' in (error.value.hint or "")
    assert admin.get("{argosy}:session:default") == b"a letter"
    admin.close()


def test_stores_with_prefixes_of_their_own_do_not_meet(start_redis: StartRedis, open_redis: OpenStore) -> None:
    server = start_redis()
    first, second = open_redis(server, prefix="first"), open_redis(server, prefix="second")
    first.write(RECORD, 0)
    assert (second.read("default"), second.sessions()) == (None, [])
    assert first.acquire("default") is not None
    assert second.acquire("default", wait=False) is not None
