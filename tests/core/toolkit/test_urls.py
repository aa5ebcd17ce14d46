"""URLs that people write."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.toolkit import urls
from argosy.toolkit.names import problem_of
from argosy.toolkit.urls import check_url, file_name, redact_url


@pytest.mark.parametrize(
    "url",
    [
        "https://library.example",
        "http://127.0.0.1:8080/a?b=c#d",
        "https://[::1]:80/x",
        "HTTPS://Library.Example/Ü",
        "http://h_x/@user/100%",
        "https://bücher.example/x",
        "http://h:/x",
    ],
)
def test_an_ordinary_url_is_fine(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "empty"),
        ("books/1", "http://"),
        ("//h/x", "http://"),
        ("file:///etc/passwd", "http"),
        ("javascript:alert(1)", "http"),
        ("https:///x", "no host"),
        ("https:/h", "no host"),
        ("https://:80/", "no host"),
        ("https://ada:hunter2@h/", "password"),
        ("https://ada@h/", "user name"),
        ("https://h/a b", "U+0020"),
        ("https://h/\r\nX-Evil: 1", "U+000D"),
        ("https://h/\u202ex", "U+202E"),
        ("https://h/\ud800", "U+D800"),
        ("https://h\\@evil/", "backslash"),
        ("https://h:65536/", "port"),
        ("https://h:x/", "host"),
        ("https://-h/", "host"),
        ("https://[::z]/", "host"),
        ("https://a[::1]/", "host"),
        ("https://a[b]/", "host"),
    ],
)
@pytest.mark.torture(54)
def test_a_url_that_cannot_be_downloaded_is_refused(url: str, problem: str) -> None:
    found = check_url(url)
    assert found is not None
    assert problem in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:pw@h/x", "https://***@h/x"),
        ("https://ada:p@w@h/x", "https://***@h/x"),
        ("https://h/p;jsessionid=A?x=1#access_token=9", "https://h/p;jsessionid=***?x=1#access_token=***"),
        ("https://h/#token=a?b", "https://h/#token=***"),
        (
            "https://h/?X-Amz-Signature=1&keyword=k&apiKey=3&zip=4",
            "https://h/?X-Amz-Signature=***&keyword=k&apiKey=***&zip=4",
        ),
        ("https://h/?%74oken=5;code=6", "https://h/?%74oken=***;code=***"),
        ("https://h/device?user_code=WDJB-MJHT&code=6", "https://h/device?user_code=WDJB-MJHT&code=***"),
        (
            "https://h/a?code_challenge=x&code_challenge_method=S256&code=6",
            "https://h/a?code_challenge=x&code_challenge_method=S256&code=***",
        ),
        ("https://h/@user/x=1?id=7", "https://h/@user/x=1?id=7"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(), st.sampled_from(["token", "api_key", "sig", "Password", "X-Auth", "client_secret", "code"]))
def test_a_secret_parameter_is_hidden_wherever_it_stands(before: str, name: str) -> None:
    assert "hunter2" not in redact_url(f"https://h/{before}?a=1&{name}=hunter2")


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    check_url(text)
    redact_url(text)
    assert problem_of(file_name(text)) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h", "index.html"),
        ("https://h/", "index.html"),
        ("https://h?x/y", "index.html"),
        ("https://h/a/b/", "index.html"),
        ("https://h/a/b.pdf?x=/y#z/w", "b.pdf"),
        ("https://h/Moby%20Dick.pdf", "Moby Dick.pdf"),
    ],
)
def test_a_file_is_called_by_the_last_segment(url: str, name: str) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize("segment", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "CON", "a%00b", "%ff%fe", "x" * 400])
def test_a_dangerous_segment_is_made_safe(segment: str) -> None:
    assert problem_of(file_name(f"https://h/{segment}")) is None


def test_segments_that_are_not_utf8_stay_apart() -> None:
    assert file_name("https://h/%ff") != file_name("https://h/%fe")


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(urls).failed == 0
