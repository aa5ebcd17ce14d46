"""The page about Redis with TLS: its files are written, its scripts run, and argosy works with the server that comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import redis

from argosy_redis import scripts
from documents import files
from missing import need
from redis_page import PAGE, PROGRAMS, RedisPage, redis_of_the_page
from voyage import Voyage

SetSail = Callable[..., Voyage]


@pytest.fixture
def page(set_sail: SetSail) -> Iterator[RedisPage]:
    """The server of the page, and beside its user one that looks after it."""
    need(*PROGRAMS)
    voyage = set_sail(items=6, lease_mode="revoke")
    tester = "user tester on >tester ~* +@all\n"
    with redis_of_the_page(voyage.root, voyage.server.url, more_users=tester) as page:
        yield page


@pytest.mark.slow
def test_it_can_be_done(page: RedisPage) -> None:
    done = page.sh("try.sh")
    assert (done.returncode, "redis_version" in done.stdout) == (0, True), done.stderr
    assert len(list((page.folder / "library").glob("item-*"))) == 6
    with page.client(username="tester", password="tester") as tester:
        assert tester.acl_log() == [], "a permission that argosy needs is missing"
        keys = {key.decode().split(":")[1] for key in tester.scan_iter()}
        assert {"session", "host"} <= keys, "the store and the rate limit are both on the server"

    password = (page.folder / "redis-password.txt").read_text("utf-8").strip()
    with page.client(username="argosy", password=password) as user:
        for forbidden in ("FLUSHALL", "KEYS *", "GET other", "CLIENT LIST", "CONFIG SET save 1"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.execute_command(*forbidden.split())
    for options in ({}, {"username": "argosy", "password": "wrong"}):
        with page.client(**options) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    for name in ("ca.key", "redis.key", "redis-password.txt", "users.acl"):
        assert (page.folder / name).stat().st_mode & 0o077 == 0, f"others can read {name}"


@pytest.mark.slow
def test_the_errors_of_the_page(page: RedisPage) -> None:
    assert page.sh("make-user.sh").returncode == 0, "a new password, which the server does not know"
    (page.folder / "ca.pem").rename(page.folder / "right.pem")
    assert page.sh("make-certificates.sh").returncode == 0
    (page.folder / "login.sh").write_text("exec argosy login argosy.toml\n", "utf-8")
    wrong_authority = page.sh("login.sh")
    assert wrong_authority.returncode == 5
    assert "self-signed certificate" in wrong_authority.stderr
    (page.folder / "right.pem").rename(page.folder / "ca.pem")
    wrong_password = page.sh("login.sh")
    assert wrong_password.returncode == 5
    assert "it rejects the user or the password" in wrong_password.stderr
    configuration = (page.folder / "argosy.toml").read_text("utf-8")
    (page.folder / "argosy.toml").write_text(configuration.replace("//localhost", "//127.0.0.1"), "utf-8")
    wrong_name = page.sh("login.sh")
    assert wrong_name.returncode == 5
    assert "IP address mismatch" in wrong_name.stderr


def test_the_user_may_do_what_the_scripts_do() -> None:
    allowed = set(re.findall(r"\+([a-z]+)", files(PAGE)["make-user.sh"]))
    used = {
        name.lower()
        for text in vars(scripts).values()
        if isinstance(text, str)
        for name in re.findall(r"redis\.call\('(\w+)'", text)
    }
    assert used
    assert used <= allowed
