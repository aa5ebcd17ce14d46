"""A library made with Django: its own login view, CSRF middleware, sessions and users.

Where tokens rotate, each request cycles the key of its session, as Django itself does at a login.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from servers.counts import Counts
from servers.rules import PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve

urlpatterns: list[Any] = []

_PAGE = """<!doctype html><title>Log in</title><form method="post">{% csrf_token %}{{ form.as_p }}
<input type="hidden" name="next" value="{{ next }}"><button>Log in</button></form>"""

_DESK = """<!doctype html><title>Desk</title><form id="search"><input name="q"></form>
<form method="post" id="logout" action="/accounts/logout/">{% csrf_token %}<button>Log out</button></form>"""


class _Rotation:
    """A middleware that gives each session a new key with each request, and counts."""

    rules = Rules()
    counts = Counts()

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = request.COOKIES.get("sessionid")
        if self.rules.rotate and token is not None and not self.counts.replace(token, request.session.cycle_key):
            request.session.flush()
        response = self._get_response(request)
        if response.status_code == 302 and response["Location"].startswith("/accounts/login/"):
            self.counts.add("refused")
        return response


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the library, and what ends its sessions."""
    _Rotation.rules, _Rotation.counts = rules, counts
    _configure(folder)
    from django.contrib.auth import get_user_model, signals
    from django.contrib.auth.decorators import login_required
    from django.contrib.auth.views import LoginView, LogoutView
    from django.core.cache import cache
    from django.views.generic import TemplateView

    def give(request: HttpRequest, number: int) -> HttpResponse:
        counts.add("accepted")
        return HttpResponse(book(number), content_type="application/octet-stream")

    urlpatterns[:] = [
        path("accounts/login/", LoginView.as_view(template_name="login.html", next_page="/")),
        path("books/<int:number>.bin", login_required(give)),
        path("accounts/logout/", LogoutView.as_view(next_page="/accounts/login/")),
        path("", login_required(TemplateView.as_view(template_name="desk.html"))),
    ]
    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user(USER, password=PASSWORD)
    signals.user_logged_in.connect(lambda **_: counts.add("logins"), weak=False)
    signals.user_logged_out.connect(lambda **_: counts.add("logouts"), weak=False)
    signals.user_login_failed.connect(lambda **_: counts.add("failed_logins"), weak=False)
    return get_wsgi_application(), cache.clear


def _configure(folder: Path) -> None:
    settings.configure(
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            f"{__name__}._Rotation",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "db.sqlite3",
                "OPTIONS": {"timeout": 30},
            }
        },
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "OPTIONS": {"MAX_ENTRIES": 100_000},
            }
        },
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [("django.template.loaders.locmem.Loader", {"login.html": _PAGE, "desk.html": _DESK})]
                },
            }
        ],
        LOGGING_CONFIG=None,
    )
    django.setup()


if __name__ == "__main__":
    serve(make_app)
