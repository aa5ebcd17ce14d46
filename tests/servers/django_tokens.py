"""A JSON API made with Django REST framework and its plugin Simple JWT.

A refresh token is good for one use, which brings a new one, and then is on Simple JWT's list of refused tokens. Access
tokens are JSON Web Tokens; ``/-/expire`` ends those that were given so far.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from servers.counts import Counts
from servers.rules import PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve

urlpatterns: list[Any] = []


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the API, and what ends all its tokens."""
    _configure(rules, folder)
    from django.contrib.auth import get_user_model
    from rest_framework.decorators import api_view, authentication_classes
    from rest_framework_simplejwt import views
    from rest_framework_simplejwt.authentication import JWTAuthentication
    from rest_framework_simplejwt.exceptions import InvalidToken

    given: set[str] = set()
    ended: set[str] = set()

    class Authentication(JWTAuthentication):
        def get_validated_token(self, raw_token: bytes) -> Any:
            if raw_token.decode() in ended:
                counts.add("refused")
                raise InvalidToken
            return super().get_validated_token(raw_token)

    @api_view(["GET"])  # type: ignore[untyped-decorator]  # Django REST framework has no types
    @authentication_classes([Authentication])  # type: ignore[untyped-decorator]  # as above
    def give(request: Any, number: int) -> HttpResponse:
        counts.add("accepted")
        return HttpResponse(book(number), content_type="application/octet-stream")

    def counted(view: Any, good: str, bad: str) -> Any:
        made = view.as_view()

        def count(request: Any) -> Any:
            answer = made(request)
            if "access" in answer.data:
                given.add(answer.data["access"])
            counts.add(good if answer.status_code == 200 else bad)
            return answer

        count.csrf_exempt = True  # type: ignore[attr-defined]  # read by Django
        return count

    urlpatterns[:] = [
        path("api/token/", counted(views.TokenObtainPairView, "logins", "failed_logins")),
        path("api/token/refresh/", counted(views.TokenRefreshView, "refreshes", "replaced_tokens_sent")),
        path("api/token/blacklist/", counted(views.TokenBlacklistView, "logouts", "failed_logouts")),
        path("books/<int:number>.bin", give),
    ]
    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user(USER, password=PASSWORD)

    def expire() -> None:
        ended.update(given)
        if rules.steps:
            # Simple JWT still renews the tokens of a user whose password changes, with a new salt here, and refuses them
            user = get_user_model().objects.get()
            user.set_password(PASSWORD)
            user.save()

    return get_wsgi_application(), expire


def _configure(rules: Rules, folder: Path) -> None:
    logging.getLogger("django.request").setLevel(logging.CRITICAL)  # it would print each 401
    settings.configure(
        SECRET_KEY="for tests, and long enough for HS256 (RFC 7518 section 3.2)",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "rest_framework_simplejwt.token_blacklist",
        ],
        MIDDLEWARE=[],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "db.sqlite3",
                "OPTIONS": {"timeout": 30},
            }
        },
        MIGRATION_MODULES=dict.fromkeys(("auth", "contenttypes", "token_blacklist")),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]},
        SIMPLE_JWT={
            "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
            "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
            "ROTATE_REFRESH_TOKENS": rules.rotate,
            "BLACKLIST_AFTER_ROTATION": rules.rotate,
            "CHECK_REVOKE_TOKEN": True,
        },
        LOGGING_CONFIG=None,
    )
    django.setup()


if __name__ == "__main__":
    serve(make_app)
