"""`argosy token` in the programs that its formats are for: curl, git, kubectl, Docker and the tools of AWS."""

from __future__ import annotations

import base64
import json
import os
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from missing import need
from servers.oauth_server import SECRET, OAuthServer
from servers.token_takers import TokenTakers

pytestmark = pytest.mark.slow

#: The program, as these tools start it.
ARGOSY = (sys.executable, "-m", "argosy")


class Place:
    """A home with a configuration, an authorization server, and what takes its tokens."""

    def __init__(self, home: Path, authority: OAuthServer, takers: TokenTakers) -> None:
        self.home, self.authority, self.takers = home, authority, takers
        (home / "token").write_text(authority.first_token(), "utf-8")
        auth = {
            "use": "oauth2",
            "grant": "refresh_token",
            "issuer": authority.url,
            "client_id": "argosy",
            "client_secret": {"env": "CLIENT_SECRET"},
            "refresh_token": {"file": "token"},
            "origins": [takers.url],
        }
        document = {"auth": auth, "cookie_store": {"use": "json-file", "path": "cookies.json"}}
        self.config = home / "argosy.json"
        self.config.write_text(json.dumps(document), "utf-8")
        path = f"{home}{os.pathsep}{os.environ['PATH']}"
        keep = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "GIT_", "DOCKER_", "KUBE"))
        }
        self.env = {**keep, "HOME": str(home), "PATH": path, "CLIENT_SECRET": SECRET, "LC_ALL": "C.UTF-8"}
        if "PYENV_ROOT" not in os.environ and (root := Path("~/.pyenv").expanduser()).exists():
            self.env["PYENV_ROOT"] = str(root)  # the tools of AWS may be among pyenv's

    def words(self, *options: str) -> list[str]:
        return [*ARGOSY, "token", str(self.config), *options]

    def command(self, *options: str) -> str:
        return shlex.join(self.words(*options))

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**self.env, **env},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    @property
    def refreshes(self) -> int:
        return self.authority.seen["token:refresh_token"]

    def seen(self, kind: str) -> Mapping[str, int]:
        return {what.partition(" ")[2]: n for what, n in self.takers.seen.items() if what.startswith(f"{kind} ")}

    def end_tokens(self) -> None:
        """Let the server refuse the access token before it expires."""
        for token in self.authority.state.tokens:
            token.expires_at = 0.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "home").mkdir()
    with OAuthServer() as authority, TokenTakers(authority, tmp_path) as takers:
        yield Place(tmp_path / "home", authority, takers)


def test_curl(place: Place) -> None:
    need("curl")
    line = f"{place.command('--format', 'header')} | curl -sS -f -H @- {place.takers.url}/readyz"
    done = place.run("sh", "-c", line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok", "")
    assert place.seen("kubectl") == {"- good": 1}


def test_git(place: Place, tmp_path: Path) -> None:
    need("git")
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    made = [
        ("git", "init", "-q", "-b", "main", str(tmp_path / "work")),
        ("git", "-C", str(tmp_path / "work"), *identity, "commit", "-q", "--allow-empty", "-m", "One"),
        ("git", "clone", "-q", "--bare", str(tmp_path / "work"), str(tmp_path / "one.git")),
        ("git", "-C", str(tmp_path / "one.git"), "update-server-info"),
    ]
    for command in made:
        done = place.run(*command)
        assert done.returncode == 0, done.stderr
    helper = "!" + place.command("--format", "git-credential", "--username", "x-token-auth")
    section = f"credential.{place.takers.url}.helper"
    for value in ("", helper):
        assert place.run("git", "config", "--global", "--add", section, value).returncode == 0
    url = f"{place.takers.url}/git/one.git"
    done = place.run("git", "clone", "-q", url, str(tmp_path / "two"), GIT_TERMINAL_PROMPT="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "two" / ".git").is_dir()
    seen = place.seen("git")
    assert (seen["x-token-auth good"] > 0, "x-token-auth bad" in seen) == (True, False)
    place.end_tokens()
    refused = place.run("git", "-C", str(tmp_path / "two"), "fetch", "-q", GIT_TERMINAL_PROMPT="0")
    assert (refused.returncode != 0, place.seen("git")["x-token-auth bad"], place.refreshes) == (True, 1, 2)
    done = place.run("git", "-C", str(tmp_path / "two"), "fetch", "-q", GIT_TERMINAL_PROMPT="0")
    assert (done.returncode, done.stderr, place.refreshes) == (0, "", 2), "git said that it was refused"


@pytest.fixture
def authority_of_tls() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_place(tmp_path: Path, authority_of_tls: trustme.CA) -> Iterator[Place]:
    """A place whose services use TLS: without it, kubectl and Docker ask for no token."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority_of_tls.issue_cert("localhost").configure_cert(tls)
    (tmp_path / "home").mkdir()
    with OAuthServer() as authority, TokenTakers(authority, tmp_path, tls) as takers:
        yield Place(tmp_path / "home", authority, takers)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("cluster_info", [True, False])
def test_kubectl(secure_place: Place, authority_of_tls: trustme.CA, version: str, cluster_info: bool) -> None:
    need("kubectl")
    place, ca = secure_place, base64.b64encode(authority_of_tls.cert_pem.bytes()).decode()
    program, *arguments = place.words("--format", "kubectl")
    user = {"apiVersion": f"client.authentication.k8s.io/{version}", "command": program, "args": arguments}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": place.takers.url, "certificate-authority-data": ca}}],
        "users": [
            {"name": "u", "user": {"exec": {**user, "interactiveMode": "Never", "provideClusterInfo": cluster_info}}}
        ],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (place.home / "config").write_text(json.dumps(config), "utf-8")
    done = place.run("kubectl", "--kubeconfig", str(place.home / "config"), "get", "--raw", "/readyz")
    if version == "v1" and "invalid apiVersion" in done.stderr:
        pytest.skip("this kubectl is older than v1 of its credential plugins (1.22)")
    assert (done.returncode, done.stdout) == (0, "ok"), done.stderr
    assert place.seen("kubectl")["- good"] == 1


def test_docker(secure_place: Place) -> None:
    need("docker")
    place = secure_place
    script = place.home / "docker-credential-argosy"
    line = place.command("--format", "docker", "--username", "ada")
    script.write_text(f'#!/bin/sh\nexec {line} "$@"\n', "utf-8")
    script.chmod(0o755)
    host = place.takers.url.removeprefix("https://")
    (place.home / ".docker").mkdir()
    for settings in ({"credHelpers": {host: "argosy"}}, {"credsStore": "argosy"}):
        place.takers.seen.clear()
        (place.home / ".docker" / "config.json").write_text(json.dumps(settings), "utf-8")
        done = place.run("docker", "manifest", "inspect", "--insecure", f"{host}/books/atlas:latest")
        assert (done.returncode, '"schemaVersion": 2' in done.stdout) == (0, True), done.stderr
        seen = place.seen("docker")
        assert (seen["ada good"] > 0, "ada bad" in seen, place.refreshes) == (True, False, 1)
    elsewhere = place.run("docker", "manifest", "inspect", "--insecure", "localhost:9/books/atlas:latest")
    assert (elsewhere.returncode, "credentials" in elsewhere.stderr) == (1, False), "it has none, and that is no error"


@pytest.mark.parametrize("way", ["role", "keys"])
def test_aws(place: Place, way: str) -> None:
    need("aws")
    role = "arn:aws:iam::123456789012:role/research"
    options = ("--aws-role", role) if way == "role" else ("--aws-keys", f"{place.takers.url}/s3credentials")
    line = place.command("--format", "aws", *options)
    (place.home / ".aws").mkdir()
    config = f"[profile research]\ncredential_process = {line}\nregion = eu-central-1\n"
    (place.home / ".aws" / "config").write_text(config, "utf-8")
    env = {"AWS_PROFILE": "research", "AWS_ENDPOINT_URL_STS": place.takers.url, "AWS_EC2_METADATA_DISABLED": "true"}
    asked = ("aws", "sts", "get-caller-identity", "--endpoint-url", place.takers.url, "--output", "json")
    done = place.run(*asked, **env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Arn"].endswith("assumed-role/research/argosy")
    assert place.seen("GetCallerIdentity") == {"True": 1}
    assert place.seen("sts" if way == "role" else "keys") == ({"unsigned True": 1} if way == "role" else {"- good": 1})
    if way == "role":
        place.end_tokens()
        refused = place.run(*place.words("--format", "aws", *options), **env)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "InvalidIdentityToken" in refused.stderr
        assert "must trust" in refused.stderr


def secrets_of(place: Place) -> list[str]:
    return [value for token in place.authority.state.tokens for value in (token.access, str(token.refresh))]


def test_the_token_is_in_no_process_list(place: Place) -> None:
    """A program that asks sees the arguments of every process that runs meanwhile."""
    program = "import glob; print(b'\\0'.join(open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/cmdline')))"
    line = f"{place.command()} | {{ {shlex.join([sys.executable, '-c', program])}; cat > got; }}"
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("the arguments of processes are not in /proc here")
    done = place.run("sh", "-c", line)
    assert done.returncode == 0, done.stderr
    token = (place.home / "got").read_text("utf-8").strip()
    assert place.authority.is_good(token)
    assert [secret for secret in secrets_of(place) if secret in done.stdout] == []
