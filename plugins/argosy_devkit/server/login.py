"""The login: a form whose hidden field is bound to a cookie, or a user and a password in JSON."""

from __future__ import annotations

import html
import json
import secrets
from urllib.parse import parse_qsl

from argosy_devkit.server import tokens
from argosy_devkit.server.answer import Answer, page
from argosy_devkit.server.content import JSON, Page
from argosy_devkit.server.counters import Counters
from argosy_devkit.server.http import Request
from argosy_devkit.server.sessions import Sessions

#: The cookie that the form's hidden field is bound to.
_COOKIE = "prelogin"

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Library - log in</title></head>
<body>
<h1>Log in</h1>{error}
<form action="/login" method="post">
<input type="hidden" name="csrf" value="{csrf}">
<input type="hidden" name="realm" value="library">
<label>User <input type="text" name="user" autocomplete="username"></label>
<label>Password <input type="password" name="password" autocomplete="current-password"></label>
<button type="submit" name="action" value="login">Log in</button>
</form>
</body>
</html>
"""


def login_page(sessions: Sessions, *, status: int = 200, error: str = "") -> Answer:
    """Return the login page with a working form."""
    nonce = secrets.token_hex(8)
    text = f'\n<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    answer = page(status, _PAGE.format(error=text, csrf=sessions.sign(f"csrf {nonce}")))
    answer.set_cookies.append(f"{_COOKIE}={nonce}; Path=/; HttpOnly; SameSite=Lax")
    return answer


def post_login(request: Request, sessions: Sessions, counters: Counters) -> Answer:
    """Return the response to a submitted form: a redirect with the token, or the page again.

    JSON gets JSON back, with status 200 and the token, or 401.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON:
        return _post_json(request, sessions, counters)
    fields = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    error = _what_is_wrong(fields, request.cookies().get(_COOKIE, ""), sessions)
    if error:
        counters.failed_logins += 1
        return login_page(sessions, error=error)
    session = sessions.login()
    if session is None:
        counters.failed_logins += 1
        return login_page(sessions, status=403, error="This account has too many sessions already.")
    counters.logins += 1
    answer = page(303, "")
    answer.headers.append(("Location", "/"))
    tokens.write(answer, sessions.tokens(session), sessions.settings)
    return answer


def _post_json(request: Request, sessions: Sessions, counters: Counters) -> Answer:
    try:
        given = json.loads(request.body)
    except ValueError:
        given = None
    fields = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    if not _is_right(fields, sessions):
        counters.failed_logins += 1
        return _json(401, {"errors": ["User or password is wrong."]})
    session = sessions.login()
    if session is None:
        counters.failed_logins += 1
        return _json(403, {"errors": ["This account has too many sessions already."]})
    counters.logins += 1
    answer = _json(200, {"user": sessions.settings.user})
    tokens.write(answer, sessions.tokens(session), sessions.settings)
    return answer


def _json(status: int, value: object) -> Answer:
    content = Page(json.dumps(value).encode(), JSON)
    return Answer(status, content, 0, content.size, [("Cache-Control", "no-store")])


def _what_is_wrong(fields: dict[str, str], nonce: str, sessions: Sessions) -> str:
    if not nonce or not _same(fields.get("csrf", ""), sessions.sign(f"csrf {nonce}")):
        return "The form is too old; please try again."
    if fields.get("realm") != "library":
        return "The form is not complete."
    return "" if _is_right(fields, sessions) else "User or password is wrong."


def _is_right(fields: dict[str, str], sessions: Sessions) -> bool:
    settings = sessions.settings
    user_right = _same(fields.get("user", ""), settings.user)
    return _same(fields.get("password", ""), settings.password) and user_right


def _same(given: str, right: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
