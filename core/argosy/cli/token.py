"""``argosy token``: print a token for another program, in the form that it reads."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import ask, log_options, notify, plugin_options, redactor
from argosy.errors import ConfigError, Refused, TransferError
from argosy.models.session import origin_of
from argosy.toolkit.urls import check_url, redact_url

if TYPE_CHECKING:
    from argosy.api import AccessToken
    from argosy.engine.context import RunContext
    from argosy.plugins.manager import PluginManager

#: What Docker's credential helpers print, word for word, if they have nothing for a server.
_DOCKER_NOT_FOUND = "credentials not found in native keychain"
#: The group of kubectl's ``ExecCredential``, and its version, unless kubectl asks for another.
_KUBECTL_GROUP, _KUBECTL_VERSION = "client.authentication.k8s.io/", "v1"
#: Where keys come from without a region in the environment or in AWS's configuration.
_AWS_REGION = "us-east-1"
#: The names that a ``credential_process`` prints.
_AWS_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
#: Seconds between two checks for Ctrl-C, and those that a renewal has after it.
_SIGNAL_CHECK, _LAST_SECONDS = 0.2, 10.0
#: The most characters that are read from standard input.
_MOST_INPUT = 1 << 20


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command line asks for."""

    context: RunContext
    valid_for: float
    name: str | None
    refused: str
    given: str  # on standard input
    action: str
    username: str | None
    role: str | None
    keys_url: str | None

    def get(self, refused: str = "") -> AccessToken:
        """Return a good token, or raise an `ArgosyError`."""
        from argosy.api import fresh_token

        found = fresh_token(self.context, self.valid_for, self.name, refused or self.refused)
        for secret in (found.value, found.token):
            self.context.redactor.add(secret)
        return found

    def get_for(self, url: str, refused: str = "") -> AccessToken | None:
        """Return a token that may go to a URL; None, without a renewal, if there is none."""
        if check_url(url) is not None or (self.origins and origin_of(url) not in self.origins):
            return None
        found = self.get(refused)
        return found if origin_of(url) in found.origins else None

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that get the tokens of the stored session."""
        context = self.context
        fixed, record = context.auth.fixed_token(), context.store.read(context.pool.managers[0].session)
        tokens = fixed[:1] if fixed is not None else record.headers if record is not None else ()
        return tuple(dict.fromkeys(origin for one in tokens for origin in one.origins))


@click.command()
@click.argument("config")
@click.argument("action", required=False, default="")
@click.option(
    "--valid-for",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Renew the token if it expires within this time. By default, argosy renews it a minute before it expires, or"
    " after 80 % of a shorter lifetime.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("plain", "header", "json", "git-credential", "aws", "kubectl", "docker")),
    default="plain",
    help="plain: the token alone (the default). header: the whole header field. The others are for the programs they"
    " are named after.",
)
@click.option("--name", metavar="HEADER", help="The header field, if the session has several with tokens.")
@click.option(
    "--refused",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE|-",
    help="A file with a token that the service refused: if it is still the newest one, the session is renewed.",
)
@click.option("--username", metavar="NAME", help="For git-credential and docker; oauth2 by default.")
@click.option("--aws-role", metavar="ARN", help="For aws: exchange the token, a JWT, for temporary keys of this role.")
@click.option("--aws-keys", metavar="URL", help="For aws: get temporary keys from this URL of the service.")
@log_options
@plugin_options
def token(
    config: str,
    action: str,
    valid_for: float,
    form: str,
    name: str | None,
    refused: Path | None,
    username: str | None,
    aws_role: str | None,
    aws_keys: str | None,
    plugins: PluginManager,
) -> None:
    """Print a good token of the session of CONFIG, and nothing else. Log in or renew it before, if necessary.

    However many programs ask at the same time, the session is renewed once. ACTION is the word that git and Docker
    append: get, store, erase or list.
    """
    _check(form, action, username, aws_role, aws_keys)
    if form == "git-credential" and action not in ("get", "erase"):
        return  # git asks for nothing then, and argosy keeps its own session
    from argosy.api import open_context
    from argosy.config.load import load

    old = "" if refused is None else _refused(refused)
    given = _input() if form == "git-credential" or (form, action) == ("docker", "get") else ""
    settings = load(config, plugins)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # for what a plugin prints
        context = stack.enter_context(open_context(settings, plugins, notify, redactor(), ask=ask()))
        request = _Request(context, valid_for, name, old, given, action, username, aws_role, aws_keys)
        answer, code = _to_the_end(lambda: _FORMATS[form](request))
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.encode())  # past the redaction of the stream
    sys.stdout.buffer.flush()
    if code:
        raise click.exceptions.Exit(code)


def _check(form: str, action: str, username: str | None, role: str | None, keys: str | None) -> None:
    """Raise a usage error for options and actions that do not fit the format."""
    if form == "docker" and action not in ("get", "store", "erase", "list"):
        raise click.UsageError("The format docker needs an ACTION: get, store, erase or list.")
    if form == "git-credential" and not action:
        raise click.UsageError("The format git-credential needs an ACTION: get, store or erase.")
    if action and form not in ("git-credential", "docker"):
        raise click.UsageError(f"The format {form} has no ACTION.")
    if username is not None and form not in ("git-credential", "docker"):
        raise click.UsageError("--username is for the formats git-credential and docker.")
    if (role is not None) + (keys is not None) != (form == "aws"):
        raise click.UsageError("The format aws needs --aws-role or --aws-keys, which no other format has.")


def _refused(path: Path) -> str:
    """Return the token in a file."""
    if str(path) == "-":
        return _input().strip()
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_INPUT).strip()
    except OSError as error:
        raise ConfigError(f"The file {path} with the refused token cannot be read: {error.strerror}.") from None


def _input() -> str:
    """Return standard input with its line ends as they are."""
    return "" if sys.stdin is None else sys.stdin.buffer.read(_MOST_INPUT).decode("utf-8", "replace")


def _to_the_end(work: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """Do something in a thread and wait for it: Ctrl-C must not come between a new token and its commit.

    A program such as git passes Ctrl-C on. A renewal under way then has some seconds to end; after a second Ctrl-C, none.
    """
    results: list[tuple[str, int]] = []
    raised: list[BaseException] = []
    over = threading.Event()  # not Thread.join(), see `argosy.api.execute`

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised below
            raised.append(error)
        finally:
            over.set()

    threading.Thread(target=target, name="argosy-token", daemon=True).start()
    try:
        while not over.wait(_SIGNAL_CHECK):  # another thread may get the signal, which wakes no one
            pass
    except KeyboardInterrupt:
        over.wait(_LAST_SECONDS)
        raise
    if raised:
        raise raised[0]
    return results[0]


def _plain(request: _Request) -> tuple[str, int]:
    return f"{request.get().token}\n", 0


def _header(request: _Request) -> tuple[str, int]:
    found = request.get()
    return f"{found.header}: {found.value}\n", 0


def _json(request: _Request) -> tuple[str, int]:
    found = request.get()
    return _text(
        {
            "token": found.token,
            "header": found.header,
            "value": found.value,
            "expires_at": found.expires or None,
            "origins": found.origins,
            "session": found.session,
        }
    ), 0


def _git(request: _Request) -> tuple[str, int]:
    """Answer as a credential helper of git (gitcredentials(7), git-credential(1)).

    ``erase`` says that the service refused the token.
    """
    # only at \n: a user name in the URL of a repository may have other line ends, and a second host behind them
    lines = request.given.partition("\n\n")[0].split("\n")
    asked = dict(line.split("=", 1) for line in lines if "=" in line)
    user = asked.get("username") or request.username or "oauth2"
    host = asked.get("host", "")
    if not host or {*"/?#"} & {*host} or user != (request.username or user):
        return "", 0
    url = f"{asked.get('protocol')}://{host}"
    if request.action == "erase":
        if asked.get("password"):
            request.get_for(url, refused=asked["password"])
        return "", 0
    found = request.get_for(url)
    if found is None:
        return "", 0
    expiry = f"password_expiry_utc={int(found.expires)}\n" if found.expires else ""
    return f"username={user}\npassword={found.token}\n{expiry}", 0


def _docker(request: _Request) -> tuple[str, int]:
    """Answer as a credential helper of Docker (the protocol of docker-credential-helpers).

    Docker shows the standard output of a helper that fails.
    """
    if request.action in ("store", "erase"):
        done = "log in: argosy login CONFIG" if request.action == "store" else "log out: argosy logout CONFIG"
        return f"argosy keeps this session itself; to {done}\n", 1
    user = request.username or "oauth2"
    if request.action == "list":
        return _text(dict.fromkeys(request.origins, user)), 0
    server = request.given.strip()
    # Docker names most registries without a scheme, and talks to some on this machine without TLS
    urls = (server,) if "://" in server else (f"https://{server}", f"http://{server}")
    for url in urls:
        if (found := request.get_for(url)) is not None:
            return _text({"ServerURL": server, "Username": user, "Secret": found.token}), 0
    return f"{_DOCKER_NOT_FOUND}\n", 1


def _kubectl(request: _Request) -> tuple[str, int]:
    """Answer as a credential plugin of kubectl (client.authentication.k8s.io)."""
    info = _object(os.environ.get("KUBERNETES_EXEC_INFO", ""))
    version = str(info.get("apiVersion", ""))
    spec = info.get("spec")
    cluster = spec.get("cluster") if isinstance(spec, dict) else None
    server = cluster.get("server") if isinstance(cluster, dict) else None
    found = request.get() if server is None else request.get_for(str(server))
    if found is None:
        hint = f"It is for {', '.join(request.origins)}."
        raise ConfigError(f"The token must not go to the server of kubectl, {redact_url(str(server))}.", hint=hint)
    status = {"token": found.token}
    if found.expires:
        status["expirationTimestamp"] = _moment(found.expires)
    if not version.startswith(_KUBECTL_GROUP):
        version = _KUBECTL_GROUP + _KUBECTL_VERSION
    return _text({"apiVersion": version, "kind": "ExecCredential", "status": status}), 0


def _aws(request: _Request) -> tuple[str, int]:
    """Answer as a ``credential_process`` of the AWS tools, which want keys of AWS instead of a token."""
    keys = _keys_of_role(request) if request.role is not None else _keys_of_service(request)
    for key in ("SecretAccessKey", "SessionToken"):
        request.context.redactor.add(str(keys.get(key, "")))
    return _text({"Version": 1, **keys}), 0


def _keys_of_role(request: _Request) -> Mapping[str, str]:
    """Exchange the token at AWS (AssumeRoleWithWebIdentity), which sends it to AWS alone."""
    try:
        import botocore.session
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        hint = "Install it: pip install 'argosy[aws]'."
        raise ConfigError("--aws-role needs the library botocore, which is not installed.", hint=hint) from None
    found = request.get()
    try:
        session = botocore.session.Session()
        session.set_credentials("unused", "unused")  # instead of those of a profile whose credential_process this is
        region = session.get_config_variable("region") or _AWS_REGION
        client = session.create_client("sts", region_name=region, config=Config(signature_version=UNSIGNED))
        answer = client.assume_role_with_web_identity(
            RoleArn=request.role, RoleSessionName="argosy", WebIdentityToken=found.token
        )["Credentials"]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "no reason")
        hint = "The role must trust the issuer and the audience of the token."
        raise Refused(f"AWS gives no keys of {request.role} for the token: {code}.", hint=hint) from None
    except BotoCoreError as error:
        raise TransferError(f"AWS cannot be asked for keys: {error}") from None
    return {name: answer[name] for name in _AWS_NAMES} | {"Expiration": _moment(answer["Expiration"].timestamp())}


def _keys_of_service(request: _Request) -> Mapping[str, str]:
    """Get keys from the service, with the session: a JSON object with AWS's names in any spelling, perhaps inside ``credentials``."""
    import requests

    from argosy.toolkit.failures import reason_of
    from argosy.toolkit.responses import read_content

    url, context = str(request.keys_url), request.context
    if (problem := check_url(url)) is not None:
        raise ConfigError(f"The URL of --aws-keys {problem}.")
    try:
        context.pool.log_in()
        with context.pool.http.get(url, stream=True, headers={"Accept": "application/json"}) as response:
            answer = _object(read_content(response, _MOST_INPUT, whole=True).decode(errors="replace"))
    except requests.RequestException as error:
        raise TransferError(f"{redact_url(url)} cannot be asked for keys of AWS: {reason_of(error)}.") from None
    finally:
        context.pool.sync()
    given = {_bare(name): value for name, value in answer.items()}
    if isinstance(inner := given.get("credentials"), dict):
        given = {_bare(name): value for name, value in inner.items()}
    keys = {name: str(value) for name in _AWS_NAMES if (value := given.get(_bare(name)))}
    if response.status_code != 200 or not {"AccessKeyId", "SecretAccessKey"} <= keys.keys():
        message = f"The answer of {redact_url(url)} (status {response.status_code}) has no keys of AWS."
        hint = "It should be a JSON object with accessKeyId, secretAccessKey, sessionToken and expiration."
        raise Refused(message, hint=hint)
    if "Expiration" in keys:
        try:
            expires = datetime.fromisoformat(keys["Expiration"])
        except ValueError:
            raise Refused(f"The keys of AWS from {redact_url(url)} have an expiration that is not a time.") from None
        keys["Expiration"] = _moment(expires.replace(tzinfo=expires.tzinfo or UTC).timestamp())
    return keys


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Any) -> str:
    return json.dumps(value) + "\n"


_FORMATS: Mapping[str, Callable[[_Request], tuple[str, int]]] = {
    "plain": _plain,
    "header": _header,
    "json": _json,
    "git-credential": _git,
    "aws": _aws,
    "kubectl": _kubectl,
    "docker": _docker,
}
