"""The login form: a page with a hidden field bound to a cookie, and the response to a submitted form."""

from __future__ import annotations

import html
import secrets
from urllib.parse import parse_qsl

from argosy_devkit.server.answer import Answer, page
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
    """Return the response to a submitted form: a redirect with the token, or the page again."""
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
    answer.set_cookies += sessions.set_cookies(session)
    return answer


def _what_is_wrong(fields: dict[str, str], nonce: str, sessions: Sessions) -> str:
    if not nonce or not _same(fields.get("csrf", ""), sessions.sign(f"csrf {nonce}")):
        return "The form is too old; please try again."
    if fields.get("realm") != "library":
        return "The form is not complete."
    settings = sessions.settings
    user_right = _same(fields.get("user", ""), settings.user)
    if not _same(fields.get("password", ""), settings.password) or not user_right:
        return "User or password is wrong."
    return ""


def _same(given: str, right: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
