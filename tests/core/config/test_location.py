"""A target directory that is a URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from argosy.cli.target import recalled
from argosy.config.load import load
from argosy.config.location import Remote, is_url, remote_of
from argosy.errors import ConfigError
from argosy.plugins.manager import PluginManager

SECRET = {"env": "STORAGE_SECRET"}


@pytest.mark.parametrize("url", ["s3://books", "s3://books/a/b", "sftp://ada@host:2222/books", "file:///books"])
def test_a_url_is_kept_and_has_a_local_folder(plugins: PluginManager, url: str) -> None:
    settings = load({"directory": f"{url}/"}, plugins)
    assert settings.remote is not None
    assert (settings.remote.url, settings.where) == (url, url)
    assert settings.directory == load({"directory": {"url": url}}, plugins).directory
    assert settings.directory.is_absolute()
    assert "ada" not in load({"directory": "library"}, plugins).where


@pytest.mark.parametrize("name", ["library", "./s3:/books", "C:\\books", "1s3://x"])
def test_a_folder_is_no_url(name: str) -> None:
    assert not is_url(name)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sftp://ada:hush-hush@host/books", "has a user name or a password"),
        ("s3://key:hush-hush@bucket/books", "has a user name or a password"),
        ("s3://hush-hush@bucket/books", "has a user name or a password"),
        ("s3://books?token=hush-hush", "has a query"),
        ("https://host/books", "nothing can be written"),
        ("s3://", "has no host or bucket"),
        ("sftp:///books", "has no host or bucket"),
        ("sftp://host", "names no folder"),
        ("file:///", "names no folder"),
        ("sftp://host:ssh/books", "has an invalid port"),
        ("s3://books/../x", "a part . or .."),
        ("s3://books/a b", "a space"),
        ("s3://books//a", "has an empty part"),
        ("file://books/a", "not from the root"),
        ("sftp://host/~/books", "begins with ~"),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_a_url_that_cannot_be_one(plugins: PluginManager, url: str, words: str, plain: bool) -> None:
    with pytest.raises(ConfigError, match=r"The URL of the directory") as caught:
        load({"directory": url if plain else {"url": url}}, plugins)
    assert words in str(caught.value)
    assert caught.value.hint
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "hush-hush"},
        {"password": "hush-hush"},
        {"token": "hush-hush"},
        {"client_kwargs": {"aws_secret_access_key": "hush-hush"}},
        {"passphrase": "hush-hush"},
        {"account_key": {"env": "no name"}},
    ],
)
def test_a_secret_does_not_stand_in_a_configuration(plugins: PluginManager, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"directory": {"url": "s3://books", "options": options}}, plugins)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"endpoint_url": "https://ada:hush-hush@storage.example"}, "endpoint_url"),
        (
            {"config_kwargs": {"proxies": {"https": "http://u:hush-hush@proxy:1"}}},
            "config_kwargs",
        ),
        ({"tunnels": ["https://ada:hush-hush@one"]}, "tunnels"),
    ],
)
def test_a_url_among_the_options_has_no_password_in_it(
    plugins: PluginManager, options: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigError, match=f"The option {where} of the directory") as caught:
        load({"directory": {"url": "s3://books", "options": options}}, plugins)
    assert "hush" not in str(caught.value)


def test_a_damaged_note_is_written_anew() -> None:
    remote = Remote("s3://books", {"key": "ada"})
    private = remote.folder / ".argosy"
    private.mkdir(parents=True)
    (private / "target.json").write_bytes(b"\xff\xfe")
    assert recalled("s3://books").options == {}
    remote.note(private)
    assert recalled("s3://books") == remote


def test_options_of_all_kinds(plugins: PluginManager) -> None:
    options = {
        "key": "ada",
        "secret": SECRET,
        "endpoint_url": "https://storage.example",
        "anon": False,
        "client_kwargs": {"region_name": "eu-1", "aws_session_token": {"file": "/token.txt"}},
        "client_keys": ["id_ed25519"],
        "token": "anon",
    }
    settings = load({"directory": {"url": "s3://books", "options": options}}, plugins)
    assert settings.remote is not None
    assert settings.remote.options == options


def test_two_services_with_one_bucket_have_two_ledgers() -> None:
    options: list[dict[str, Any]] = [
        {},
        {"endpoint_url": "https://one"},
        {"client_kwargs": {"endpoint_url": "https://two"}},
    ]
    assert len({Remote("s3://books", given).folder for given in options}) == 3
    with_key = Remote("s3://books", {"key": "ada", "secret": SECRET})
    assert with_key.folder == Remote("s3://books", {}).folder, "a new key makes no other place of it"


def test_a_url_that_has_lost_a_slash_is_no_folder(plugins: PluginManager) -> None:
    lost = Path("s3://books/library")
    for config, override in (({}, lost), ({}, str(lost)), ({"directory": str(lost)}, None)):
        with pytest.raises(ConfigError, match=r"with one slash"):
            load(config, plugins, {} if override is None else {"directory": override})
    assert load({"directory": f"./{lost}"}, plugins).remote is None


def test_a_slash_at_the_end_makes_no_other_service() -> None:
    for place in ({"endpoint_url": "https://one"}, {"client_kwargs": {"endpoint_url": "https://one"}}):
        with_slash = json.loads(json.dumps(place).replace("one", "one/"))
        assert Remote("s3://books", place).folder == Remote("s3://books", with_slash).folder


def test_a_url_in_the_place_of_a_configuration_is_not_repeated(plugins: PluginManager) -> None:
    with pytest.raises(ConfigError, match=r"Expected a configuration file, got a URL") as caught:
        load("sftp://ada:hush-hush@host/books", plugins)
    assert "hush" not in str(caught.value)


def test_the_command_line_keeps_the_options_for_storage_of_one_kind(plugins: PluginManager) -> None:
    config = {"directory": {"url": "s3://books", "options": {"key": "ada"}}}
    other = load(config, plugins, {"directory": "s3://maps"}).remote
    assert other is not None
    assert (other.url, other.options) == ("s3://maps", {"key": "ada"})
    sftp = load(config, plugins, {"directory": "sftp://host/maps"}).remote
    assert sftp is not None
    assert sftp.options == {}
    assert load(config, plugins, {"directory": "here"}).directory == Path.cwd() / "here"


def test_a_url_alone_has_the_options_of_the_run_before() -> None:
    assert recalled("s3://books/").options == {}
    for number, options in enumerate([{"key": "ada"}, {"endpoint_url": "https://two", "key": "bob"}]):
        remote = Remote("s3://books", options)
        private = remote.folder / ".argosy"
        private.mkdir(parents=True)
        remote.note(private)
        if not number:
            assert recalled("s3://books/") == remote
    with pytest.raises(ConfigError, match=r"at 2 services"):
        recalled("s3://books")


def test_a_secret_in_a_file_is_found_from_anywhere(tmp_path: Path) -> None:
    options = {"secret": {"file": "key.txt"}, "key": "ada"}
    remote = remote_of({"url": "s3://books", "options": options}, tmp_path)
    assert remote is not None
    assert remote.options == {"secret": {"file": str(tmp_path / "key.txt")}, "key": "ada"}
