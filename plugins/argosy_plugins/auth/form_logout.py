"""Logs out by requesting a page or submitting a form on it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urldefrag, urljoin

import requests

from argosy.errors import LoginFailed
from argosy.toolkit.forms import Form, parse_page
from argosy.toolkit.responses import read_content
from argosy.toolkit.urls import check_url

#: The most bytes of a page to read.
MAX_PAGE = 2 * 1024 * 1024


def log_out(http: requests.Session, url: str, wanted: int | str | None) -> None:
    """End the session at the service, using a session with its cookies.

    `wanted` is the form by number, id or name; None if requesting the page is enough. Raises LoginFailed if there is no
    such form, or the service answers with an error.
    """
    with http.get(url, stream=True) as response:
        text = read_content(response, MAX_PAGE).decode("utf-8", "replace")
    _check(response)
    if wanted is None:
        return
    page = parse_page(text)
    form = _chosen(page.forms, wanted)
    if form is None:
        raise LoginFailed(
            f"The page to log out on has no form {wanted!r} (it has {len(page.forms)}).",
            hint='Name another one in "logout": its number from 0, its id or its name.',
        )
    action = urldefrag(urljoin(urljoin(response.url, page.base), form.action or response.url)).url
    if check_url(action) is not None:
        raise LoginFailed("The form to log out leads to a place that is not an http or https URL.")
    sent: dict[str, Any] = {"params" if form.method == "get" else "data": form.fields}
    with http.request(form.method.upper(), action, headers={"Referer": response.url}, stream=True, **sent) as answer:
        _check(answer)


def _chosen(forms: list[Form], wanted: int | str) -> Form | None:
    if isinstance(wanted, int):
        return forms[wanted] if wanted < len(forms) else None
    return next((form for form in forms if wanted in (form.identifier, form.name)), None)


def _check(response: requests.Response) -> None:
    if response.status_code >= 400:
        raise LoginFailed(
            f"The service did not log out (status {response.status_code}).",
            hint='Check "logout" with a browser: some services want a form to be sent.',
        )
