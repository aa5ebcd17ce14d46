"""What programs that need a token talk to, made with Flask: a Git repository, a registry, an API server, and AWS.

Each asks an authorization server whether the token is good.
"""

from __future__ import annotations

import datetime
import json
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, send_from_directory

from servers.in_thread import InThread
from servers.oauth_server import OAuthServer

#: What AWS gives for a token, and what a service gives to who is logged in.
KEYS = {"AccessKeyId": "ASIAEXAMPLE000000001", "SecretAccessKey": "secret-key-1", "SessionToken": "session-token-1"}
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": "sha256:" + "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    },
    "layers": [],
}
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


class TokenTakers(InThread):
    """Runs them in threads of this process, on a free port of ``localhost``; `seen` counts requests, by kind and user."""

    def __init__(self, authority: OAuthServer, repositories: Path, tls: ssl.SSLContext | None = None) -> None:
        self.authority = authority
        self.repositories = repositories
        self.seen: Counter[str] = Counter()
        super().__init__(_app(self), tls)
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}"

    def takes(self, kind: str) -> bool:
        """Return whether a request has a good token, as a bearer token or as a password."""
        given = request.authorization
        token = None if given is None else given.token or given.password
        is_good = token is not None and self.authority.is_good(token)
        user = given.username if given is not None and given.type == "basic" else "-"
        self.seen[f"{kind} {user} {'good' if is_good else 'bad' if token else 'none'}"] += 1
        return is_good


def _app(takers: TokenTakers) -> Flask:
    app = Flask(__name__)

    def refusal(scheme: str) -> Response:
        return Response("no", 401, {"WWW-Authenticate": f'{scheme} realm="takers"'})

    @app.get("/git/<path:path>")
    def git(path: str) -> Response:
        return send_from_directory(takers.repositories, path) if takers.takes("git") else refusal("Basic")

    @app.get("/v2/")
    @app.get("/v2/<path:path>")
    def registry(path: str = "") -> Response:
        if not takers.takes("docker"):
            return refusal("Basic")
        found = MANIFEST if "/manifests/" in path else {}
        return Response(json.dumps(found), mimetype=str(MANIFEST["mediaType"]))

    @app.after_request
    def version(answer: Response) -> Response:
        answer.headers["Docker-Distribution-API-Version"] = "registry/2.0"  # Docker 20 refuses others
        return answer

    @app.get("/readyz")
    def kubernetes() -> Response:
        return Response("ok") if takers.takes("kubectl") else refusal("Bearer")

    @app.get("/s3credentials")
    def keys() -> Response | tuple[dict[str, Any], int]:
        if not takers.takes("keys"):
            return refusal("Bearer")
        named = {name[0].lower() + name[1:]: value for name, value in KEYS.items()}
        return {**named, "expiration": "2099-01-02 03:04:05+00:00"}, 200

    @app.post("/")
    def aws() -> Response:
        """Answer as AWS's token service, to the two actions that are asked here (AWS STS API reference)."""
        action = request.form["Action"]
        if action == "AssumeRoleWithWebIdentity":
            is_good = takers.authority.is_good(request.form["WebIdentityToken"])
            takers.seen[f"sts {'signed' if 'Authorization' in request.headers else 'unsigned'} {is_good}"] += 1
            if not is_good:
                error = "<Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no</Message></Error>"
                return Response(f'<ErrorResponse xmlns="{_STS}">{error}</ErrorResponse>', 400, mimetype="text/xml")
            expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
            given = {**KEYS, "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
            inner = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
            result = f"<Credentials>{inner}</Credentials>"
        else:
            is_ours = f"Credential={KEYS['AccessKeyId']}/" in request.headers.get("Authorization", "")
            is_whole = request.headers.get("X-Amz-Security-Token") == KEYS["SessionToken"]
            takers.seen[f"{action} {is_ours and is_whole}"] += 1
            result = "<Arn>arn:aws:sts::123456789012:assumed-role/research/argosy</Arn><UserId>u</UserId><Account>1</Account>"
        text = f'<{action}Response xmlns="{_STS}"><{action}Result>{result}</{action}Result></{action}Response>'
        return Response(text, mimetype="text/xml")

    return app
