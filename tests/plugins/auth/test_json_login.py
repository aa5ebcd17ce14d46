"""The auth `json-login`, against real servers."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from argosy import PluginContext, ResponseHead
from argosy.errors import ConfigError, LoginFailed, RefreshRefused, TransferError
from argosy_plugins.auth.json_login import JsonLogin
from rubbish import fuzzed

PASSWORD = 'hunter2&="%é'
KEY = "JBSWY3DPEHPK3PXP"
KEYS = st.sampled_from(
    ["data", "token", "expires", "error", "errors", "message", "success", "ok", "refresh", "detail", PASSWORD]
)
FIELDS = {"email": "ada@example.org", "password": {"file": "password"}}


@pytest.fixture
def site(make_site: Callable[[], Any]) -> Any:
    return make_site()


def answer(reply: Any, value: Any, status: int = 200, **more: Any) -> Callable[[Any], Any]:
    """Return a page that answers with JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return lambda asked: reply(text, status, kind="application/json", **more)


def auth(site: Any, tmp_path: Path, **options: Any) -> JsonLogin:
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    (tmp_path / "key").write_text(KEY)
    if "steps" not in options:
        options = {"url": f"{site.url}/login" if site else "https://api.example/login", "json": FIELDS, **options}
        options = {name: value for name, value in options.items() if value is not None}
    notices: list[str] = []
    return JsonLogin(options, PluginContext(base=tmp_path, notice=notices.append))


def sent(site: Any) -> list[Any]:
    """Return the JSON that a site got."""
    return [json.loads(asked.body) for asked in site.asked if asked.body]


TOKEN = {"tokens": {"json": {"path": "$.data.token"}}}


def test_json_is_sent_and_the_token_of_the_answer_is_kept(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}, "errors": []})
    plugin = auth(site, tmp_path, **TOKEN)
    plugin.login(session)
    assert sent(site) == [{"email": "ada@example.org", "password": PASSWORD}]
    (asked,) = site.asked
    assert (asked.method, asked.headers["Content-Type"], asked.headers["Accept"]) == (
        "POST",
        "application/json",
        "application/json",
    )
    assert session.headers == {"Authorization": "Bearer T1"}
    assert session.origins == {"Authorization": (site.url,)}
    assert (plugin.can_login, plugin.carriers, plugin.can_refresh(session.credentials)) == (True, (), False)


def test_tokens_come_in_header_fields(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    fields = (("access-token", "T1"), ("client", "C1"), ("uid", "ada@example.org"))
    site.pages["/login"] = answer(reply, {}, headers=fields)
    plugin = auth(site, tmp_path, tokens={"headers": ["access-token", "client", "uid"]})
    plugin.login(session)
    assert session.headers == dict(fields)
    assert [(c.name, c.field, c.follows, c.origins, c.is_kept) for c in plugin.carriers] == [
        ("access-token", "access-token", "", (site.url,), False),
        ("client", "client", "access-token", (site.url,), False),
        ("uid", "uid", "access-token", (site.url,), False),
    ]
    assert auth(site, tmp_path, tokens={"headers": ["access-token"]}, rotate=False).carriers == ()


def test_a_header_token_may_be_sent_in_another_field(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {}, 201, headers=(("X-Subject-Token", "T1"),))
    tokens = {"headers": [{"name": "X-Subject-Token", "header": "X-Auth-Token"}]}
    plugin = auth(site, tmp_path, tokens=tokens, origins=["https://files.example"])
    plugin.login(session)
    assert session.headers == {"X-Auth-Token": "T1"}
    assert session.origins == {"X-Auth-Token": ("https://files.example",)}
    assert [(c.name, c.field) for c in plugin.carriers] == [("X-Auth-Token", "X-Subject-Token")]


def test_cookies_may_be_all(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = lambda asked: reply("", 204, cookies=("sid=S1; HttpOnly",))
    auth(site, tmp_path).login(session)
    assert (session.headers, session.http.cookies["sid"]) == ({}, "S1")


def test_a_login_without_a_cookie_or_a_token_fails(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"token": "T1"}, cookies=("sid=; Max-Age=0",))
    with pytest.raises(LoginFailed, match=r"brought no cookie.* Its JSON has token.* \"tokens\"") as caught:
        auth(site, tmp_path).login(session)
    assert "T1" not in str(caught.value)


def test_named_cookies_must_come(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {}, cookies=("lang=en",))
    with pytest.raises(LoginFailed, match=r"nothing in a cookie sid, where the option tokens.cookies\[0\]"):
        auth(site, tmp_path, tokens={"cookies": ["sid"]}).login(session)


def test_a_body_token_that_answers_replace_is_declared(site: Any, tmp_path: Path) -> None:
    (carrier,) = auth(site, tmp_path, **TOKEN, rotate="body").carriers
    assert (carrier.name, carrier.field, carrier.origins) == ("Authorization", "", (site.url,))
    assert carrier.find is not None
    assert carrier.find({"data": {"token": "T2"}}) == "Bearer T2"
    others: tuple[Any, ...] = ({"data": {}}, {"data": {"token": None}}, {"data": {"token": "a\nb"}}, [], "T2", 7, None)
    for other in others:
        assert carrier.find(other) is None


def test_values_are_nested_and_keep_their_types(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}})
    body = {
        "user": {"login": "ada", "secrets": [{"password": {"file": "password"}}]},
        "remember": True,
        "version": 2,
        "device": None,
        "query": "mutation { login { token } } {token}x",
        "token_type": {"json": "bearer"},
        "where": {"json": {"env": "production"}},
    }
    auth(site, tmp_path, json=body, method="PUT", headers={"X-App": "7", "Accept": "*/*"}, **TOKEN).login(session)
    assert sent(site) == [
        {
            "user": {"login": "ada", "secrets": [{"password": PASSWORD}]},
            "remember": True,
            "version": 2,
            "device": None,
            "query": "mutation { login { token } } {token}x",
            "token_type": "bearer",
            "where": {"env": "production"},
        }
    ]
    (asked,) = site.asked
    assert (asked.method, asked.headers["X-App"], asked.headers["Accept"]) == ("PUT", "7", "*/*")


def test_a_form_may_be_sent_instead(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"access_token": "T1"})
    form = {**FIELDS, "n": 1, "remember": True}
    options = {"url": f"{site.url}/login", "form": form, "tokens": {"json": {"path": "$.access_token"}}}
    (tmp_path / "password").write_text(PASSWORD)
    JsonLogin(options, PluginContext(base=tmp_path)).login(session)
    assert site.asked[0].fields == [
        ("email", "ada@example.org"),
        ("password", PASSWORD),
        ("n", "1"),
        ("remember", "true"),
    ]


# -- steps


def steps(site: Any) -> list[dict[str, Any]]:
    return [
        {"url": f"{site.url}/start", "json": {"user": "ada"}, "take": {"flow": "$.flow.id", "n": "$.n"}},
        {
            "url": f"{site.url}/flow/{{flow}}",
            "json": {"n": "{n}", "text": "n={n}", "password": {"file": "password"}},
            "headers": {"X-Flow": "f-{flow}"},
            "take": {"challenge": {"header": "X-Challenge"}},
        },
        {
            "url": f"{site.url}/code",
            "json": {"challenge": "{challenge}", "code": {"totp": {"file": "key"}}},
            "when": {"json": "$.next", "value": "code"},
        },
    ]


def test_steps_use_what_earlier_ones_took(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/start"] = answer(reply, {"flow": {"id": "a/b c"}, "n": 3})
    site.pages["/flow/a%2Fb%20c"] = answer(reply, {"next": "code"}, headers=(("X-Challenge", "ch-1"),))
    site.pages["/code"] = answer(reply, {"data": {"token": "T1"}})
    auth(site, tmp_path, steps=steps(site), **TOKEN).login(session)
    first, second, third = sent(site)
    assert (first, second) == ({"user": "ada"}, {"n": 3, "text": "n=3", "password": PASSWORD})
    assert site.asked[1].headers["X-Flow"] == "f-a/b c"
    assert (third["challenge"], len(third["code"])) == ("ch-1", 6)
    assert session.headers == {"Authorization": "Bearer T1"}
    assert session.credentials["one-time code"] == third["code"], "it is not sent again by the next login"


def test_a_step_may_be_left_out(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/start"] = answer(reply, {"flow": {"id": "f"}, "n": 3})
    site.pages["/flow/f"] = answer(reply, {"next": "done", "data": {"token": "T1"}}, headers=(("X-Challenge", "c"),))
    auth(site, tmp_path, steps=steps(site), **TOKEN).login(session)
    assert [asked.path for asked in site.asked] == ["/start", "/flow/f"]
    assert session.headers == {"Authorization": "Bearer T1"}


def test_a_token_of_an_earlier_step_may_be_kept(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/a"] = answer(reply, {"token": "T1"})
    site.pages["/b"] = lambda asked: reply("", 204)
    both = [
        {"url": f"{site.url}/a", "json": FIELDS, "take": {"token": "$.token"}},
        {"url": f"{site.url}/b", "method": "PUT", "headers": {"Authorization": "Bearer {token}"}},
    ]
    plugin = auth(site, tmp_path, steps=both, tokens={"json": {"path": "token"}}, keep={"device": "token"})
    plugin.login(session)
    assert site.asked[1].headers["Authorization"] == "Bearer T1"
    assert session.headers == {"Authorization": "Bearer T1"}
    assert session.credentials["device"] == "T1"
    site.pages["/refresh"] = answer(reply, {"token": "T2"})
    refresh = {"url": f"{site.url}/refresh"}
    tokens = {"json": {"path": "token"}}
    auth(site, tmp_path, steps=both, tokens=tokens, keep={"device": "token"}, refresh=refresh).refresh(session)
    assert (session.headers["Authorization"], session.credentials["device"]) == ("Bearer T2", "T2")


def test_a_challenge_may_come_with_an_error_status(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/a"] = answer(reply, {"error": "mfa_required", "mfa": "m1"}, 403)
    site.pages["/b"] = answer(reply, {"data": {"token": "T1"}})
    both = [
        {"url": f"{site.url}/a", "json": FIELDS, "take": {"mfa": "$.mfa"}, "success": {"status": 403, "json": "$.mfa"}},
        {"url": f"{site.url}/b", "json": {"mfa": "{mfa}"}},
    ]
    auth(site, tmp_path, steps=both, **TOKEN).login(session)
    assert sent(site)[1] == {"mfa": "m1"}


def test_a_code_is_asked_for_when_it_is_sent(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}})
    fields = {**FIELDS, "otp": {"one_time": {"prompt": "Code"}}}
    plugin = auth(site, tmp_path, json=fields, **TOKEN)
    assert not plugin.can_login
    with pytest.raises(LoginFailed, match="asks for a one-time code"):
        plugin.login(session)
    options = {"url": f"{site.url}/login", "json": fields, **TOKEN}
    JsonLogin(options, PluginContext(base=tmp_path, ask_now=lambda text: f" {text}-123 ")).login(session)
    assert [each["otp"] for each in sent(site)] == ["Code-123"]


# -- values against forged requests


@pytest.mark.parametrize("place", ["cookie", "header", "json"])
def test_a_value_against_forgery_is_fetched_first(
    site: Any, session: Any, tmp_path: Path, reply: Any, place: str
) -> None:
    cookies = ("XSRF-TOKEN=a%3Db%26; Path=/",)
    site.pages["/csrf"] = answer(reply, {"csrf": {"value": "a=b&"}}, cookies=cookies, headers=(("X-Value", "a=b&"),))
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}})
    where = {"cookie": "XSRF-TOKEN", "header": "X-Value", "json": "$.csrf.value"}[place]
    csrf = {"url": f"{site.url}/csrf", place: where, "send": "X-XSRF-TOKEN"}
    auth(site, tmp_path, csrf=csrf, **TOKEN).login(session)
    fetched, asked = site.asked
    assert (fetched.method, asked.headers["X-XSRF-TOKEN"]) == ("GET", "a=b&")
    assert (asked.headers["Origin"], asked.headers["Referer"]) == (site.url, f"{site.url}/csrf")
    assert asked.headers["Cookie"].startswith("XSRF-TOKEN=")


def test_a_missing_value_against_forgery_ends_the_login(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/csrf"] = answer(reply, {})
    csrf = {"url": f"{site.url}/csrf", "json": "$.csrf"}
    with pytest.raises(LoginFailed, match=r"nothing at \$.csrf, where the option csrf of"):
        auth(site, tmp_path, csrf=csrf).login(session)
    assert site.posted() == []


# -- success and failure


@pytest.mark.parametrize(
    ("value", "status", "options", "says"),
    [
        ({"message": "Bad credentials"}, 401, {}, 'status 401 from .*/login \\(it says: "Bad credentials"\\)'),
        ({"errors": {"password": ["is wrong"]}}, 422, {}, 'it says: "is wrong"'),
        ({"errors": [{"message": "No such user"}], "data": None}, 200, {}, "with 'errors' in its JSON .*No such user"),
        ({"success": False, "detail": "nope"}, 200, {}, "with 'success' false in its JSON .*nope"),
        ({"error": {"code": 7, "message": "locked"}}, 200, {}, "locked"),
        ({"state": "bad"}, 200, {"failure": {"json": "$.state", "value": "bad"}}, "as the option failure describes it"),
        ({"state": "bad"}, 200, {"success": {"json": "$.state", "value": "ok"}}, "not as the option success describes"),
        ({"ok": 1}, 200, {"success": {"json": "$.ok", "value": True}}, "not as the option success describes"),
        ({}, 200, {"success": {"status": [201, 204]}}, "status 200 from"),
        ({}, 200, {"success": {"header": "X-Good"}}, "not as the option success"),
        ({}, 200, {"success": {"cookie": "sid"}}, "not as the option success"),
        ({"why": {"text": "because"}}, 401, {"message": "$.why.text"}, 'it says: "because"'),
        ("<h1>Bad</h1>", 401, {"message": "$.why.text"}, "status 401 from [^(]*login\\."),
        ({}, 404, {}, "status 404.*Check the URL"),
    ],
)
def test_a_failed_login_is_told(
    site: Any, session: Any, tmp_path: Path, reply: Any, value: Any, status: int, options: dict[str, Any], says: str
) -> None:
    site.pages["/login"] = answer(reply, value, status, cookies=("lang=en",))
    with pytest.raises(LoginFailed, match=says):
        auth(site, tmp_path, **options).login(session)
    assert session.credentials == {}


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ({"error": None, "errors": [], "success": True}, {}),
        ({"error": "none"}, {"success": {"json": "$.error", "value": "none"}}),
        ({"error": "none"}, {"failure": {"json": "$.error", "value": "bad"}}),
        ({"state": {"done": True}}, {"success": {"status": 200, "json": "$.state.done"}}),
        ("[]", {}),
    ],
)
def test_a_good_login_is_one(
    site: Any, session: Any, tmp_path: Path, reply: Any, value: Any, options: dict[str, Any]
) -> None:
    site.pages["/login"] = answer(reply, value, cookies=("sid=1",))
    auth(site, tmp_path, **options).login(session)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_later(site: Any, session: Any, tmp_path: Path, reply: Any, status: int) -> None:
    site.pages["/login"] = answer(reply, {}, status)
    with pytest.raises(TransferError, match=f"status {status}") as caught:
        auth(site, tmp_path).login(session)
    assert (caught.value.retryable, caught.value.kind) == (True, "status")


def test_a_service_out_of_reach_is_left_to_the_core(session: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    with pytest.raises(requests.ConnectionError):
        JsonLogin({"url": "http://127.0.0.1:9/login", "json": FIELDS}, PluginContext(base=tmp_path)).login(session)


# -- secrets


@pytest.mark.parametrize("shape", ["plain", "json", "quoted", "upper", "path"])
def test_a_message_shows_no_secret(site: Any, session: Any, tmp_path: Path, reply: Any, shape: str) -> None:
    def echo(asked: Any) -> Any:
        said = json.loads(asked.body)
        text = {
            "plain": said["password"],
            "json": asked.body,
            "quoted": quote(said["password"]),
            "upper": said["password"].upper(),
            "path": "see https://api.example/x?token=abcdef",
        }[shape]
        return reply(json.dumps({"message": f"wrong: {text} {said['pin']}"}), 401, kind="application/json")

    site.pages["/login"] = echo
    (tmp_path / "pin").write_text("0x9")
    plugin = auth(site, tmp_path, json={**FIELDS, "pin": {"file": "pin"}}, **TOKEN)
    with pytest.raises(LoginFailed) as caught:
        plugin.login(session)
    text = str(caught.value).casefold()
    for secret in (PASSWORD, quote(PASSWORD), "hunter2", "0x9", "abcdef"):
        assert secret.casefold() not in text
    assert PASSWORD not in repr(plugin) + repr(vars(plugin))


def test_long_messages_are_cut_and_controls_escaped(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"message": "\x1b[31mno\n" + "x" * 5000}, 401)
    with pytest.raises(LoginFailed) as caught:
        auth(site, tmp_path).login(session)
    assert len(caught.value.message) < 400
    assert "\x1b" not in caught.value.message


def test_taken_values_and_new_tokens_are_secrets(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/a"] = answer(reply, {"challenge": "challenge-abc"})
    site.pages["/challenge-abc"] = answer(reply, {"message": "challenge-abc is old"}, 400)
    told: list[str] = []
    (tmp_path / "password").write_text(PASSWORD)
    both = [
        {"url": f"{site.url}/a", "json": FIELDS, "take": {"c": "$.challenge"}},
        {"url": f"{site.url}/{{c}}"},
    ]
    with pytest.raises(LoginFailed, match=r"/\*\*\* .*\*\*\* is old") as caught:
        JsonLogin({"steps": both}, PluginContext(base=tmp_path, on_secret=told.append)).login(session)
    assert "challenge-abc" not in str(caught.value)
    assert "challenge-abc" in told


@pytest.mark.torture(11)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_password_goes_to_no_other_origin(
    site: Any, session: Any, tmp_path: Path, make_site: Any, reply: Any, status: int
) -> None:
    other = make_site()
    other.pages["/steal"] = answer(reply, {"data": {"token": "T"}})
    site.pages["/login"] = lambda asked: reply(status=status, location=f"{other.url}/steal?x=1")
    plugin = auth(site, tmp_path, headers={"X-Key": {"file": "key"}}, **TOKEN)
    if status in (307, 308):
        with pytest.raises(LoginFailed, match=f"another origin, {other.url}/steal; nothing was sent there"):
            plugin.login(session)
        assert other.asked == []
    else:
        plugin.login(session)
        (asked,) = other.asked
        assert (asked.method, asked.body, asked.headers.get("X-Key")) == ("GET", "", None)
        assert "Content-Type" not in asked.headers


def test_a_redirect_within_the_origin_repeats_the_request(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = lambda asked: reply(status=308, location="/v2/login", cookies=("first=1",))
    site.pages["/v2/login"] = answer(reply, {})
    auth(site, tmp_path).login(session)
    assert [(asked.method, asked.path) for asked in site.asked] == [("POST", "/login"), ("POST", "/v2/login")]
    assert sent(site)[0] == sent(site)[1]


@pytest.mark.parametrize(
    ("location", "found"), [("file:///etc/passwd", "no http or https"), ("/login", "more than 10 times")]
)
def test_a_redirect_to_nowhere_ends_the_login(
    site: Any, session: Any, tmp_path: Path, reply: Any, location: str, found: str
) -> None:
    site.pages["/login"] = lambda asked: reply(status=307, location=location)
    with pytest.raises(LoginFailed, match=found):
        auth(site, tmp_path).login(session)


# -- answers that are not as they should be


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("<html>Sorry</html>", "text/html", r"is not JSON \(text/html\); the option tokens.json.path"),
        ("", "application/json", "is empty; the option tokens.json.path"),
        ("{" * 100_000, "application/json", "is not JSON"),
        ("[" * 500 + "]" * 500, "application/json", r"nothing at \$.data.token"),
        ('{"data": "' + "x" * 1_100_000 + '"}', "application/json", "is larger than 1024 KiB"),
        ('{"data": {"tok": "T"}, "more": 1}', "application/json", r"nothing at .* Its JSON has data, more\."),
        ('{"data": {"token": {"a": 1}}}', "application/json", "has an object, not a text, at"),
        ('{"data": {"token": [1]}}', "application/json", "has an array, not a text, at"),
        ('{"data": {"token": true}}', "application/json", "has true or false, not a text, at"),
        ('{"data": {"token": null}}', "application/json", "has nothing at"),
        ('{"data": {"token": ""}}', "application/json", "has nothing at"),
        ('{"data": {"token": "a\\r\\nX: y"}}', "application/json", "no token: it has characters"),
        ('{"data": {"token": "' + "x" * 17_000 + '"}}', "application/json", "no token: it is longer than 16384"),
        ('{"data": {"token": "\\u00e9"}}', "application/json", "no token: it has characters"),
        ("\xff\xfe", "application/json", "is not JSON"),
        ('{"n": ' + "9" * 5000 + "}", "application/json", "is not JSON"),
    ],
)
def test_a_bad_answer_is_told(
    site: Any, session: Any, tmp_path: Path, reply: Any, text: str, kind: str, says: str
) -> None:
    site.pages["/login"] = lambda asked: reply(text, kind=kind)
    with pytest.raises(LoginFailed, match=says):
        auth(site, tmp_path, **TOKEN).login(session)
    assert session.headers == {}


def test_a_token_may_be_the_whole_answer(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, '"bearer T1"')
    auth(site, tmp_path, tokens={"json": [{"path": "$"}]}).login(session)
    assert session.headers == {"Authorization": "bearer T1"}


def test_a_deep_answer_and_a_path_through_all_of_it(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, '{"a":' * 400 + "1" + "}" * 400)
    with pytest.raises(LoginFailed, match=r"nested too deeply|nothing at"):
        auth(site, tmp_path, tokens={"json": {"path": "$..token"}}).login(session)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from([PASSWORD, PASSWORD.upper(), "T1", "a.b.c", f"wrong: {PASSWORD}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
def test_any_answer_is_a_login_or_a_clear_error(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    plugin = renewing(site, tmp_path, expires="$.data.expires", message="$..message")

    @fuzzed
    @given(JSON.map(json.dumps) | st.text(max_size=40), st.sampled_from([200, 201, 204, 302, 400, 401, 403, 429, 500]))
    def log_in(body: str, status: int) -> None:
        text = "" if status == 204 else body
        site.pages["/login"] = site.pages["/refresh"] = site.pages["/logout"] = answer(reply, text, status)
        for step in (plugin.login, plugin.refresh, plugin.logout):
            session.credentials.update(refresh_token="refresh-1")
            said = ""
            try:
                step(session)
            except (LoginFailed, TransferError) as error:
                said = str(error)
            assert "hunter2" not in said.casefold()
            assert "refresh-1" not in said
            assert len(said) < 1000

    log_in()


# -- expiry


@pytest.mark.parametrize(
    ("expires", "value", "seconds"),
    [
        (600, None, 600),
        ("$.expires", 600, 600),
        ("$.expires", "600", 600),
        ("$.expires", lambda: time.time() + 600, 600),
        ("$.expires", lambda: int((time.time() + 600) * 1000), 600),
        ("$.expires", lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600)), 600),
        ({"header": "expiry"}, lambda: str(int(time.time() + 600)), 600),
        ("$.expires", "soon", None),
        ("$.expires", None, None),
        ("$.expires", [], None),
        ("$.expires", -1, None),
    ],
)
def test_tokens_expire_as_the_answer_says(
    site: Any, session: Any, tmp_path: Path, reply: Any, expires: Any, value: Any, seconds: float | None
) -> None:
    when = value() if callable(value) else value
    headers = (("expiry", str(when)),)
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}, "expires": when}, headers=headers)
    auth(site, tmp_path, expires=expires, **TOKEN).login(session)
    assert session.lifetime == (None if seconds is None else pytest.approx(seconds, abs=30))


def jwt(expires: float) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in ({}, {"exp": expires})]
    return ".".join([*parts, "x"])


def test_a_json_web_token_says_it_itself(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"data": {"token": jwt(time.time() + 600)}})
    auth(site, tmp_path, **TOKEN).login(session)
    assert session.lifetime == pytest.approx(600, abs=30)
    session.lifetime = None
    auth(site, tmp_path, **TOKEN, rotate="body").login(session)
    assert session.lifetime is None, "one that is replaced in time does not end the session"


def test_tokens_that_have_expired_are_told(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login"] = answer(reply, {"data": {"token": jwt(time.time() - 600)}})
    with pytest.raises(LoginFailed, match=r"expired already.*clock"):
        auth(site, tmp_path, **TOKEN).login(session)


# -- refresh and logout


def renewing(site: Any, tmp_path: Path, **options: Any) -> JsonLogin:
    more = {
        "keep": {"refresh_token": "$.refresh"},
        "refresh": {"url": f"{site.url}/refresh", "json": {"refresh": "{refresh_token}"}},
        "logout": {"url": f"{site.url}/logout", "method": "DELETE", "json": {"refresh": "{refresh_token}"}},
    }
    return auth(site, tmp_path, **TOKEN, **{**more, **options})


@pytest.fixture
def renewed(site: Any, session: Any, tmp_path: Path, reply: Any) -> Any:
    """Log in at a site that gives refresh tokens."""
    site.pages["/login"] = answer(reply, {"data": {"token": "T1"}, "refresh": "R1"})
    renewing(site, tmp_path).login(session)
    return session


def test_a_session_is_renewed(site: Any, renewed: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/refresh"] = answer(reply, {"data": {"token": "T2"}, "refresh": "R2"})
    plugin = renewing(site, tmp_path)
    assert plugin.can_refresh(renewed.credentials)
    plugin.refresh(renewed)
    assert sent(site)[-1] == {"refresh": "R1"}
    assert "Authorization" not in site.asked[-1].headers
    assert (renewed.headers["Authorization"], renewed.credentials["refresh_token"]) == ("Bearer T2", "R2")
    site.pages["/refresh"] = answer(reply, {"data": {"token": "T3"}})
    plugin.refresh(renewed)
    assert (sent(site)[-1], renewed.credentials["refresh_token"]) == ({"refresh": "R2"}, "R2")


def test_another_configuration_does_not_renew_it(site: Any, renewed: Any, tmp_path: Path) -> None:
    assert not renewing(site, tmp_path, url=f"{site.url}/other").can_refresh(renewed.credentials)
    assert not renewing(site, tmp_path).can_refresh({})
    del renewed.credentials["refresh_token"]
    assert not renewing(site, tmp_path).can_refresh(renewed.credentials)


@pytest.mark.parametrize(
    ("value", "status", "error", "unsent"),
    [
        ({"message": "R1 is spent"}, 401, RefreshRefused, None),
        ({}, 400, RefreshRefused, None),
        ({"error": "spent"}, 200, RefreshRefused, None),
        ({}, 403, LoginFailed, None),
        ({}, 429, TransferError, True),
        ({}, 503, TransferError, True),
        ({}, 500, TransferError, False),
        ({}, 504, TransferError, False),
        ({"data": {}}, 200, TransferError, False),
        ("<html>", 200, TransferError, False),
    ],
)
def test_a_refresh_that_fails(
    site: Any, renewed: Any, tmp_path: Path, reply: Any, value: Any, status: int, error: type, unsent: bool | None
) -> None:
    site.pages["/refresh"] = answer(reply, value, status)
    with pytest.raises(error) as caught:
        renewing(site, tmp_path).refresh(renewed)
    assert type(caught.value) is error
    assert getattr(caught.value, "unsent", None) is unsent
    assert "R1" not in str(caught.value).replace("/", " ").split()
    assert renewed.credentials["refresh_token"] == "R1"


def test_a_renewed_session_that_is_refused_is_not_renewed_again(
    site: Any, renewed: Any, tmp_path: Path, reply: Any
) -> None:
    site.pages["/refresh"] = answer(reply, {"data": {"token": "T2"}})
    plugin = renewing(site, tmp_path)

    def see(status: int) -> None:
        plugin.is_refusal(ResponseHead(site.url, site.url, status, {}))

    plugin.refresh(renewed)
    plugin.refresh(renewed)  # it was not used
    see(401)  # of another thread
    see(200)
    plugin.refresh(renewed)
    see(401)
    with pytest.raises(RefreshRefused, match="just renewed"):
        plugin.refresh(renewed)
    assert len(sent(site)) == 4
    fields = {**FIELDS, "code": {"one_time": {"prompt": "Code"}}}
    plugin = renewing(site, tmp_path, json=fields)  # it cannot log in by itself
    for _ in range(2):
        plugin.refresh(renewed)
        see(401)


def test_a_refresh_whose_csrf_value_is_out_of_reach_was_not_sent(site: Any, renewed: Any, tmp_path: Path) -> None:
    csrf = {"url": "http://127.0.0.1:9/csrf", "cookie": "x"}
    with pytest.raises(TransferError, match="was not sent") as caught:
        renewing(site, tmp_path, csrf=csrf).refresh(renewed)
    assert caught.value.unsent is True  # type: ignore[attr-defined]  # a field of the plugin's


def test_a_refresh_may_send_the_access_token(site: Any, renewed: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/refresh"] = answer(reply, {"data": {"token": "T2"}})
    refresh = {"url": f"{site.url}/refresh", "method": "GET", "headers": {"Authorization": "{Authorization}"}}
    renewing(site, tmp_path, refresh=refresh).refresh(renewed)
    assert site.asked[-1].headers["Authorization"] == "Bearer T1"


def test_a_logout_sends_the_tokens(site: Any, renewed: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/logout"] = lambda asked: reply("", 204)
    assert renewing(site, tmp_path).logout(renewed)
    asked = site.asked[-1]
    assert (asked.method, asked.headers["Authorization"], sent(site)[-1]) == ("DELETE", "Bearer T1", {"refresh": "R1"})
    site.pages["/logout"] = answer(reply, {"message": "T1 is unknown"}, 401)
    with pytest.raises(LoginFailed, match="did not accept the logout"):
        renewing(site, tmp_path).logout(renewed)
    assert not auth(site, tmp_path).logout(renewed)


def test_a_logout_elsewhere_gets_no_token(site: Any, renewed: Any, tmp_path: Path, reply: Any, make_site: Any) -> None:
    other = make_site()
    other.pages["/logout"] = lambda asked: reply("", 204)
    renewing(site, tmp_path, logout={"url": f"{other.url}/logout"}).logout(renewed)
    assert "Authorization" not in other.asked[0].headers


def test_a_value_for_a_logout_is_fetched_elsewhere_without_the_tokens(
    site: Any, renewed: Any, tmp_path: Path, reply: Any, make_site: Any
) -> None:
    other = make_site()
    other.pages["/csrf"] = answer(reply, {}, headers=(("X-Value", "v1"),))
    site.pages["/logout"] = lambda asked: reply("", 204)
    renewing(site, tmp_path, csrf={"url": f"{other.url}/csrf", "header": "X-Value"}).logout(renewed)
    assert "Authorization" not in other.asked[0].headers
    asked = site.asked[-1].headers
    assert (asked["Authorization"], asked["X-CSRF-Token"]) == ("Bearer T1", "v1")


# -- options

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"url": "ftp://h/"}, "the option url does not begin with http"),
    ({"url": "https://u:hunter2@h/"}, "has a user name or a password"),
    ({"url": "https://h/{id}"}, r"url .*unknown name \{id\}"),
    ({"json": {"password": "hunter2"}}, "json.password of the auth json-login looks like a secret"),
    ({"json": {"a": [{"api_token": "hunter2"}]}}, r"json.a\[0\].api_token .* looks like a secret"),
    ({"json": {"id": "{id}"}}, r"json.id .*unknown name \{id\}"),
    ({"json": {"code": {"totp": {"file": "password"}}}}, "The key for the codes of the field 'json.code'"),
    ({"json": {"password": {"env": "ARGOSY_NOT_SET"}}}, "ARGOSY_NOT_SET"),
    ({"headers": {"Authorization": "Bearer hunter2"}}, "headers.Authorization .* looks like a secret"),
    ({"json": {}, "form": {}}, "json and form"),
    ({"json": None, "form": {"a": {"b": "c"}}}, "form.a of the auth json-login is not a text"),
    ({"json": None, "form": {"a": [1]}}, "form.a of the auth json-login is not a text"),
    ({"tokens": {"json": {"path": "$.["}}}, "tokens.json.path of the auth json-login is not a JSONPath"),
    ({"tokens": {"json": {"path": "token"}}}, "no step takes a value of this name.*begins with"),
    ({"tokens": {"json": {"path": "$[?" + "(" * 3000}}}, "is not a JSONPath: it is nested too deeply"),
    ({"tokens": {"headers": ["a"], "json": {"path": "$.a", "header": "A"}}}, "the same header field: a"),
    ({"success": {"value": 1}}, "success of the auth json-login has a value and no place"),
    ({"rotate": "body"}, "no tokens in JSON"),
    ({"origins": ["https://h/path"]}, "origins .* has a path"),
    ({"refresh": {"url": "https://h/r", "json": {"r": "{refresh_token}"}}}, r"refresh.json.r .*\{refresh_token\}"),
    ({"steps": [{"url": "https://h/"}], "json": {}}, "has steps, and beside them json"),
    ({"steps": [{"url": "https://h/", "when": {"status": 200}}]}, "first of the steps"),
    ({"steps": [{"url": "https://h/", "take": {"h": "$.h"}}, {"url": "https://{h}/"}]}, "in braces in its host"),
]


@pytest.mark.parametrize(("options", "says"), MISTAKES)
def test_a_mistake_is_told(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        auth(None, tmp_path, **options)
    assert "hunter2" not in str(caught.value)


def test_a_path_needs_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonpath", None)
    with pytest.raises(ConfigError, match=r"pip install 'argosy\[json-login\]'"):
        auth(None, tmp_path, **TOKEN)
    auth(None, tmp_path, tokens={"headers": ["access-token"]})


def test_characters_that_no_header_field_has_are_not_shown(site: Any, session: Any, tmp_path: Path) -> None:
    with pytest.raises(LoginFailed, match=r"headers.X-Key .* has characters") as caught:
        auth(site, tmp_path, headers={"X-Key": {"file": "password"}}).login(session)
    assert PASSWORD not in str(caught.value)
    assert site.asked == []


def test_an_unencrypted_login_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "password").write_text("x")
    options = {"url": "http://api.example/in", "json": FIELDS, "logout": {"url": "http://out.example/"}}
    JsonLogin(options, PluginContext(base=tmp_path, notice=told.append))
    assert [text.split()[4] for text in told] == ["http://api.example", "http://out.example"]
