"""A library made with Flask, Flask-Login, Flask-WTF and Flask-Session.

Its sessions are kept by Flask-Session, on the server; the form has Flask-WTF's CSRF token; Flask-Login protects
sessions strongly: each is bound to the address and the User-Agent that logged in. Where tokens rotate, Flask-Session makes each session a new id with each request.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
from cachelib import SimpleCache
from flask import Flask, Response, abort, redirect, render_template_string, request, session, url_for
from flask_login import LoginManager, UserMixin, login_required, login_user, logout_user
from flask_session import Session
from flask_wtf import CSRFProtect, FlaskForm
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField, StringField, SubmitField

from servers.counts import Counts
from servers.rules import KEY, PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve

_PAGE = """<!doctype html><title>Library</title>
<form action="/search"><input name="q"></form>
<form method="post">{% for field in form %}{{ field.label }} {{ field }}{% endfor %}</form>"""


class _Person(UserMixin):
    id = USER


class _UserForm(FlaskForm):
    user = StringField()
    go = SubmitField()


class _PasswordForm(FlaskForm):
    password = PasswordField()


class _BothForm(FlaskForm):
    user = StringField()
    password = PasswordField()
    remember = StringField()


class _CodeForm(FlaskForm):
    code = StringField()


class _AllForm(_BothForm):
    code = StringField()


class _Login:
    """The pages of the login, one after the other; what was passed is in the session."""

    def __init__(self, rules: Rules, counts: Counts) -> None:
        self._counts = counts
        self._pages: list[type[FlaskForm]]
        same = rules.code == "same"
        self._pages = [_UserForm, _PasswordForm] if rules.steps else [_AllForm if same else _BothForm]
        if rules.code == "next":
            self._pages.append(_CodeForm)
        self._totp = pyotp.TOTP(KEY, interval=rules.period)
        self._sent: set[str] = set()

    def page(self, number: int) -> str | AnyResponse:
        """Answer a request for one of the pages."""
        form = self._pages[number]()
        if session.get("passed", 0) < number:
            return redirect(url_for("login"))
        if not form.validate_on_submit() or not self._is_right(form):
            if form.is_submitted():
                self._counts.add("failed_logins")
            return render_template_string(_PAGE, form=form)
        session["passed"] = number + 1
        if number + 1 < len(self._pages):
            return redirect(url_for("login", number=number + 1))
        login_user(_Person())
        self._counts.add("logins")
        return redirect(request.args.get("next", "/"))

    def _is_right(self, form: FlaskForm) -> bool:
        wanted = {"user": USER, "password": PASSWORD}
        right = all(form[name].data == value for name, value in wanted.items() if name in form)
        return right and ("code" not in form or self._is_new(form["code"].data))

    def _is_new(self, code: str) -> bool:
        with self._counts.mutex:
            if code in self._sent:
                self._counts.add("codes_sent_again")
                return False
            self._sent.add(code)
        return self._totp.verify(code, valid_window=60 // self._totp.interval)


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the library, and what ends its sessions."""
    app = Flask(__name__)
    sessions = SimpleCache(threshold=100_000)
    app.config.update(SECRET_KEY="for tests", SESSION_TYPE="cachelib", SESSION_CACHELIB=sessions)
    Session(app)
    CSRFProtect(app)
    manager = LoginManager(app)
    manager.session_protection = "strong"
    manager.user_loader(lambda name: _Person() if name == USER else None)
    pages = _Login(rules, counts)

    @manager.unauthorized_handler  # type: ignore[untyped-decorator]  # Flask-Login's own
    def refuse() -> AnyResponse:
        counts.add("refused")
        return redirect(url_for("login", next=request.path))

    @app.before_request
    def rotate() -> None:
        token = request.cookies.get("session")
        if not rules.rotate or token is None:
            return
        session.setdefault("since", token)  # Flask-Session makes no new id for a session that is empty
        if not counts.replace(token, lambda: app.session_interface.regenerate(session)):  # type: ignore[attr-defined]  # Flask-Session's
            session.clear()

    @app.route("/login", methods=["GET", "POST"], defaults={"number": 0})
    @app.route("/login/<int:number>", methods=["GET", "POST"])
    def login(number: int) -> str | AnyResponse:
        return pages.page(number)

    @app.get("/books/<int:number>.bin")
    @login_required  # type: ignore[untyped-decorator]  # as above
    def give(number: int) -> AnyResponse:
        if rules.referer and urlsplit(request.headers.get("Referer", "")).netloc != request.host:
            abort(403)
        counts.add("accepted")
        return Response(book(number), mimetype="application/octet-stream")

    @app.get("/logout")
    @login_required  # type: ignore[untyped-decorator]  # as above
    def logout() -> AnyResponse:
        logout_user()
        counts.add("logouts")
        return redirect("/login")

    @app.get("/")
    @login_required  # type: ignore[untyped-decorator]  # as above
    def desk() -> str:
        return "<title>Desk</title><a href='/logout'>Log out</a>"

    return app, sessions.clear


if __name__ == "__main__":
    serve(make_app)
