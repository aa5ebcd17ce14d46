"""`argosy token`: one renewal for all programs that ask at the same moment, and no token anywhere but in its answer."""

from __future__ import annotations

import base64
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy.cli import main
from argosy.errors import ConfigError, SessionError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.models.session import HeaderToken, SessionRecord
from servers.oauth_server import SECRET, OAuthServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with OAuthServer() as running:
        yield running


class Place:
    """A configuration for an authorization server, and its session."""

    def __init__(self, root: Path, server: OAuthServer, **auth: Any) -> None:
        self.root, self.server = root, server
        (root / "token").write_text(server.first_token(), "utf-8")
        self.auth = {
            "use": "oauth2",
            "grant": "refresh_token",
            "issuer": server.url,
            "client_id": "argosy",
            "client_secret": {"env": "CLIENT_SECRET"},
            "refresh_token": {"file": "token"},
            "origins": [server.url],
            **auth,
        }
        if self.auth["grant"] != "refresh_token":
            del self.auth["refresh_token"]
        self.config = root / "argosy.json"
        document = {"auth": self.auth, "cookie_store": {"use": "json-file", "path": "cookies.json"}}
        self.config.write_text(json.dumps(document), "utf-8")

    def store(self) -> argosy.CookieStore:
        return argosy.open_store("json-file", path=str(self.root / "cookies.json"))

    def record(self) -> SessionRecord:
        record = self.store().read("default")
        assert record is not None
        return record

    def change(self, **changes: Any) -> None:
        record = self.record()
        self.store().write(replace(record, generation=record.generation + 1, **changes), record.generation)

    def expire(self) -> None:
        """Let the access token end, at the server and for argosy."""
        for token in self.server.state.tokens:
            token.expires_at = 0.0
        self.change(expires=time.time() - 1, due=time.time() - 60)

    def start(self, *options: str) -> warm.Command:
        return warm.shared().start("token", str(self.config), *options)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return warm.run("token", str(self.config), *options)

    def answer(self, capsys: pytest.CaptureFixture[str], *options: str, given: str = "") -> str:
        """Run the command in this process with something on its standard input; return what it prints."""
        code, out, err = in_process(capsys, "token", str(self.config), *options, given=given)
        assert (code, err) == (0, "")
        return out

    @property
    def refreshes(self) -> int:
        return self.server.seen["token:refresh_token"]


def in_process(capsys: pytest.CaptureFixture[str], *arguments: str, given: str = "") -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode("utf-8", "surrogateescape"))))
        code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def place(tmp_path: Path, server: OAuthServer) -> Place:
    return Place(tmp_path, server)


def wait_for(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


@pytest.mark.torture(150)
@pytest.mark.parametrize("programs", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_programs_at_the_same_moment_cost_one_refresh(place: Place, server: OAuthServer, programs: int) -> None:
    assert place.run().returncode == 0
    place.expire()
    server.state.gate = threading.Event()
    running = [place.start() for _ in range(programs)]
    wait_for(lambda: place.refreshes == 2)  # one is under way, and the others wait for it, or come later
    server.state.gate.set()
    ended = [(*one.communicate(timeout=110), one.wait(10)) for one in running]
    assert {(code, err) for _, err, code in ended} == {(0, "")}
    (answer,) = {out for out, _, _ in ended}
    assert server.is_good(answer.strip())
    assert (place.refreshes, server.seen["reused"]) == (2, 0), "one at first, one for all"


def test_a_first_token_is_got_once_by_all(place: Place, server: OAuthServer) -> None:
    running = [place.start() for _ in range(4)]
    (answer,) = {one.communicate(timeout=110)[0] for one in running}
    assert server.is_good(answer.strip())
    assert (place.refreshes, server.seen["reused"]) == (1, 0)
    assert place.run().stdout == answer
    assert place.refreshes == 1, "a good token is not renewed"


@pytest.mark.torture(151)
@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials"])
def test_killed_while_it_renews(tmp_path: Path, server: OAuthServer, grant: str) -> None:
    place = Place(tmp_path, server, grant=grant)
    assert place.run().returncode == 0
    place.expire()
    server.state.gate = threading.Event()
    first = place.start()
    wait_for(lambda: server.seen[f"token:{grant}"] == 2)
    others = [place.start() for _ in range(3)]
    first.kill()
    server.state.gate.set()
    ended = [(*other.communicate(timeout=110), other.wait(10)) for other in others]
    assert (server.seen["reused"], first.communicate(timeout=10)[0]) == (0, "")
    if grant == "client_credentials":  # argosy can log in by itself
        (answer,) = {out for out, _, _ in ended}
        assert server.is_good(answer.strip())
        assert server.seen[f"token:{grant}"] == 3
        return
    assert {(out, code) for out, _, code in ended} == {("", 3)}
    assert all("in doubt" in err and "argosy login" in err for _, err, _ in ended)
    (tmp_path / "token").write_text(server.first_token(), "utf-8")
    assert warm.run("login", str(place.config)).returncode == 0
    assert server.is_good(place.run().stdout.strip())
    assert server.seen["reused"] == 0


@pytest.mark.torture(151)
def test_ctrl_c_lets_a_renewal_end(place: Place, server: OAuthServer) -> None:
    assert place.run().returncode == 0
    place.expire()
    server.state.gate = threading.Event()
    running = place.start()
    wait_for(lambda: place.refreshes == 2)
    running.send_signal(signal.SIGINT)
    server.state.gate.set()
    out, _ = running.communicate(timeout=110)
    assert (running.wait(10), out) == (130, "")
    assert server.is_good(place.run().stdout.strip())
    assert (place.refreshes, server.seen["reused"]) == (2, 0), "the new token was stored"


Capture = pytest.CaptureFixture[str]


def test_the_forms_of_an_answer(place: Place, server: OAuthServer, capsys: Capture) -> None:
    token = place.answer(capsys).strip()
    assert place.answer(capsys, "--format", "header") == f"Authorization: Bearer {token}\n"
    answer = json.loads(place.answer(capsys, "--format", "json"))
    assert answer.pop("expires_at") == pytest.approx(server.state.tokens[-1].expires_at, abs=2)
    assert answer == {
        "token": token,
        "header": "Authorization",
        "value": f"Bearer {token}",
        "origins": [server.url],
        "session": "default",
    }
    found = argosy.token(place.config)
    assert (found.token, found.value, found.origins) == (token, f"Bearer {token}", (server.url,))
    assert token not in f"{found!r} {found}"
    assert place.refreshes == 1


def test_a_token_that_does_not_last_is_renewed(place: Place, server: OAuthServer, capsys: Capture) -> None:
    server.state.lifetime = 300  # renewed 60 seconds before
    first = place.answer(capsys)
    assert place.answer(capsys, "--valid-for", "200") == first
    place.change(expires=time.time() + 150)
    assert place.answer(capsys) == first, "not due yet"
    second = place.answer(capsys, "--valid-for", "200")
    assert (second != first, place.refreshes) == (True, 2)
    code, out, err = in_process(capsys, "token", str(place.config), "--valid-for", "400")
    assert (code, out) == (3, ""), "no token of this service is good for so long"
    assert "expires in 300 s" in err or "expires in 29" in err


def test_a_refused_token_is_replaced_once(place: Place, server: OAuthServer, capsys: Capture) -> None:
    first = place.answer(capsys)
    second = place.answer(capsys, "--refused", "-", given=first)
    assert second != first
    (place.root / "refused").write_text(first, "utf-8")
    assert place.answer(capsys, "--refused", str(place.root / "refused")) == second, "another program was faster"
    assert (place.refreshes, server.seen["reused"]) == (2, 0)
    assert argosy.token(place.config, refused=second.strip()).token not in (first.strip(), second.strip())
    code, out, err = in_process(capsys, "token", str(place.config), "--refused", "no-such-file")
    assert (code, out, "no-such-file" in err) == (2, "", True)


def test_git_asks(place: Place, server: OAuthServer, capsys: Capture) -> None:
    host = server.url.removeprefix("http://")
    form = ("--format", "git-credential")

    def ask(action: str, *options: str, **attributes: str) -> str:
        asked = {"protocol": "http", "host": host, **attributes}
        lines = "".join(f"{key}={value}\n" for key, value in asked.items())
        return place.answer(capsys, action, *form, *options, given=f"capability[]=authtype\n{lines}\nrest")

    for action in ("store", "capability", "something-new"):
        assert ask(action) == ""
    assert place.refreshes == 0, "there was nothing to do"
    token = place.answer(capsys).strip()
    expiry = int(place.record().expires)
    rest = f"password={token}\npassword_expiry_utc={expiry}\n"
    assert ask("get") == f"username=oauth2\n{rest}"
    assert ask("get", "--username", "x-access-token") == f"username=x-access-token\n{rest}"
    assert ask("get", username="ada") == f"username=ada\n{rest}"
    assert ask("get", "--username", "bob", username="ada") == "", "of another user"
    for foreign in ({"host": "git.example"}, {"protocol": "https"}, {"protocol": "cert"}, {"host": f"{host}0000"}):
        assert ask("get", **foreign) == ""
    for end in "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":  # none for git
        for name in ("username", "path", "x"):
            assert ask("get", "--username", "ada", host="evil.example", **{name: f"ada{end}host={host}"}) == ""
    for split in (f"{host}/.evil.example", f"{host}?.evil.example", f"{host}#.evil.example", f"ada@{host}", "\udcff"):
        assert ask("get", host=split) == ""
    assert ask("erase", password="of another helper") == ""
    assert ask("erase", password=token, host="git.example") == ""
    assert place.refreshes == 1
    assert ask("erase", password=token) == ""
    assert place.refreshes == 2
    assert token not in ask("get")
    assert in_process(capsys, "token", str(place.config), *form)[0] == 2, "git always names an action"


def test_docker_asks(place: Place, server: OAuthServer, capsys: Capture) -> None:
    host = server.url.removeprefix("http://")
    command = ("token", str(place.config), "--format", "docker")
    assert in_process(capsys, *command, "list") == (0, "{}\n", "")
    token = place.answer(capsys).strip()
    for name in (host, server.url, f"{server.url}/v1/"):
        answer = json.loads(place.answer(capsys, "--format", "docker", "get", given=name))
        assert answer == {"ServerURL": name, "Username": "oauth2", "Secret": token}
    assert json.loads(place.answer(capsys, "--format", "docker", "list", "--username", "u")) == {server.url: "u"}
    for foreign in ("registry.example", "https://index.docker.io/v1/", "", "::"):
        got = in_process(capsys, *command, "get", given=foreign)
        assert got == (1, "credentials not found in native keychain\n", "")
    for action in ("store", "erase"):
        code, out, _ = in_process(capsys, *command, action, given=host)
        assert (code, f"argosy log{'in' if action == 'store' else 'out'}" in out) == (1, True)
    assert in_process(capsys, *command)[0] == 2
    assert place.refreshes == 1


def test_kubectl_asks(place: Place, server: OAuthServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    token = place.answer(capsys).strip()

    def ask(info: str | None) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            if info is not None:
                patch.setenv("KUBERNETES_EXEC_INFO", info)
            return in_process(capsys, "token", str(place.config), "--format", "kubectl")

    group = "client.authentication.k8s.io"
    for info, version in {
        None: "v1",
        f'{{"apiVersion": "{group}/v1beta1", "kind": "ExecCredential", "spec": {{"interactive": true}}}}': "v1beta1",
        f'{{"apiVersion": "{group}/v1", "spec": {{"cluster": {{"server": "{server.url}/k"}}}}}}': "v1",
        "not JSON": "v1",
        "[]": "v1",
    }.items():
        code, out, err = ask(info)
        answer = json.loads(out)
        assert (code, err, answer["apiVersion"], answer["kind"]) == (0, "", f"{group}/{version}", "ExecCredential")
        assert answer["status"]["token"] == token
        assert answer["status"]["expirationTimestamp"].endswith("Z")
    code, out, err = ask('{"spec": {"cluster": {"server": "https://cluster.example"}}}')
    assert (code, out, "must not go to" in err) == (2, "", True)


def test_options_that_do_not_fit(place: Place, capsys: Capture) -> None:
    for options in (
        ["get"],
        ["--username", "u"],
        ["--format", "aws"],
        ["--format", "aws", "--aws-role", "r", "--aws-keys", "https://data.example"],
        ["--aws-role", "r"],
        ["--format", "docker", "put"],
        ["--valid-for", "-1"],
    ):
        code, out, _ = in_process(capsys, "token", str(place.config), *options)
        assert (code, out) == (2, ""), options
    assert place.refreshes == 0


def test_no_login_without_a_person(tmp_path: Path, server: OAuthServer, capsys: Capture) -> None:
    place = Place(tmp_path, server, grant="device_code")
    code, out, err = in_process(capsys, "token", str(place.config))
    assert (code, out, "argosy login" in err) == (3, "", True)


def test_a_secret_is_printed_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    def jwt(expires: float) -> str:
        parts = ({"alg": "none"}, {"exp": int(expires)})
        coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join((*coded, "signature"))

    config = tmp_path / "argosy.json"
    auth: dict[str, Any] = {"use": "bearer", "origins": ["https://api.example"], "token": {"file": "secret"}}
    for extra, header in (({}, "Authorization: Bearer opaque-1"), ({"header": "X-Api-Key"}, "X-Api-Key: opaque-1")):
        config.write_text(json.dumps({"auth": {**auth, **extra}, "cookie_store": "memory"}), "utf-8")
        (tmp_path / "secret").write_text("opaque-1", "utf-8")
        assert in_process(capsys, "token", str(config)) == (0, "opaque-1\n", "")
        assert in_process(capsys, "token", str(config), "--format", "header") == (0, f"{header}\n", "")
    assert argosy.token(config).expires == 0
    (tmp_path / "secret").write_text(jwt(time.time() + 100), "utf-8")
    assert argosy.token(config, 50).expires > time.time()
    with pytest.raises(SessionError, match="expires in"):
        argosy.token(config, 200)
    with pytest.raises(SessionError, match="refused"):
        argosy.token(config, refused=argosy.token(config).token)
    asked = "protocol=https\nhost=other.example\n\n"
    assert in_process(capsys, "token", str(config), "--format", "git-credential", "get", given=asked) == (0, "", "")


class Anything(Auth):
    """Logs in with the header tokens and carriers of a test."""

    name = "anything"
    summary = "Has what a test asks for"
    headers: tuple[HeaderToken, ...] = ()
    rotating: tuple[argosy.Carrier, ...] = ()

    @property
    def carriers(self) -> tuple[argosy.Carrier, ...]:
        return self.rotating

    def login(self, session: LoginSession) -> None:
        for token in self.headers:
            session.add_header(token.name, token.value, token.origins)

    def is_refusal(self, response: ResponseHead) -> bool:
        return False


def token_of(path: Path, *headers: HeaderToken, rotating: tuple[argosy.Carrier, ...] = (), **options: Any) -> str:
    cls = type("Given", (Anything,), {"headers": headers, "rotating": rotating})
    config = {
        "auth": "anything",
        "cookie_store": {"use": "json-file", "path": str(path / "cookies.json")},
        "directory": str(path),
    }
    return argosy.token(config, plugins=[cls], **options).value


ORIGINS = ("https://api.example",)


def test_tokens_that_another_program_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no single token") as raised:
        token_of(tmp_path / "1")
    assert "argosy gateway" in str(raised.value)
    two = (HeaderToken("Authorization", "Bearer a", ORIGINS), HeaderToken("X-Key", "b", ORIGINS))
    with pytest.raises(ConfigError, match="Authorization, X-Key") as raised:
        token_of(tmp_path / "2", *two)
    assert "--name" in str(raised.value)
    assert token_of(tmp_path / "2", *two, name="x-key") == "b"
    with pytest.raises(ConfigError, match="no single token"):
        token_of(tmp_path / "2", *two, name="X-Other")
    rotating = (argosy.Carrier("authorization", "authorization", ORIGINS),)
    with pytest.raises(ConfigError, match="responses replace it") as raised:
        token_of(tmp_path / "3", two[0], rotating=rotating)
    assert "argosy gateway" in str(raised.value)
    assert token_of(tmp_path / "4", *two, rotating=rotating, name="X-Key") == "b"
    nonce = (argosy.Carrier("nonce", "Authentication-Info", ORIGINS, parameter="nextnonce", is_kept=True),)
    assert token_of(tmp_path / "5", two[0], rotating=nonce) == "Bearer a"
    with pytest.raises(ConfigError, match="bound to a key"):
        token_of(tmp_path / "6", HeaderToken("Authorization", "DPoP a", ORIGINS))


def test_a_token_of_oauth_that_is_bound_to_a_key(tmp_path: Path, server: OAuthServer, capsys: Capture) -> None:
    server.state.dpop = 10
    place = Place(tmp_path, server, dpop=True)
    code, out, err = in_process(capsys, "token", str(place.config), "--format", "header")
    assert (code, out, "bound to a key" in err, "argosy gateway" in err) == (2, "", True, True)
    assert place.refreshes == 1, "the session is as good as before, for argosy itself"


def test_a_store_or_a_login_that_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would lose the session"):
        argosy.token({"auth": "anything", "cookie_store": "memory", "directory": str(tmp_path)}, plugins=[Anything])
    with pytest.raises(ConfigError, match="has no login"):
        argosy.token({"auth": "none", "directory": str(tmp_path)})


def test_the_token_is_in_the_answer_alone(tmp_path: Path, server: OAuthServer) -> None:
    place = Place(tmp_path, server, use="gossip")
    (place.root / "gossip.py").write_text(GOSSIP, "utf-8")
    log = place.root / "log"
    done = place.run("--plugin", str(place.root / "gossip.py"), "-vv", "--log-file", str(log))
    token = done.stdout.strip()
    assert (done.returncode, server.is_good(token)) == (0, True), "what a plugin prints is not the answer"
    assert "printed" in done.stderr
    told = done.stderr + log.read_text("utf-8")
    secrets = [SECRET, *(str(token.refresh) for token in server.state.tokens), *(t.access for t in server.state.tokens)]
    assert [secret for secret in secrets if secret in told] == []


GOSSIP = """
import argosy
from argosy_plugins.auth.oauth2 import OAuth2Auth

class Gossip(OAuth2Auth):
    name = "gossip"

    def refresh(self, session):
        super().refresh(session)
        print("printed", session._headers["authorization"].value, dict(session.credentials))

@argosy.hookimpl
def argosy_auth():
    return Gossip
"""
