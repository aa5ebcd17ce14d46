"""Rules of the logins and of the gateway are taken out once each, and their own tests notice it."""

from __future__ import annotations

from pathlib import Path

import joserfc.jwk
import joserfc.jwt
import jwt
import pytest

import gateways
from mutants import logins

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

#: Imported here, as pytester forgets its imports, and a second import of cryptography does not work.
LIBRARIES = (joserfc.jwk, joserfc.jwt, jwt)

PLUGINS = Path(__file__).parents[1] / "plugins"
_OPTIONS = ("-n", "0", "-m", "", "-p", "no:cacheprovider")

#: By file: mutant, and the test that must see it.
LOGINS = {
    "auth/test_digest.py": [
        ("sends_a_spent_nonce", "a_replaced_nonce_is_not_sent_again"),
        ("shares_a_nonce_without_its_count", "of_another_process_is_left"),
        ("counts_nothing", "counts_the_requests"),
    ],
    "auth/test_dpop.py": [
        ("proves_without_the_nonce", "newest_nonce_of_the_origin"),
        ("proves_without_the_nonce", "second_try"),
        ("proves_the_same_again", "each_proof_is_another"),
        ("proves_to_everybody", "what_gets_no_proof"),
        ("shares_a_key", "key_of_its_own"),
    ],
    "auth/test_csrf.py": [
        ("echoes_an_older_cookie", "newest_value_of_the_cookie"),
        ("keeps_the_logins_first_value", "newest_value_of_the_login"),
    ],
}

#: The same for `mutants.logins.GATEWAYS`.
GATEWAYS = {
    "gateway/test_door.py": [
        ("compares_no_secret", "without_the_secret"),
        ("compares_the_start_of_a_secret", "without_the_secret"),
        ("takes_any_host", "leads_to_this_machine"),
        ("takes_any_origin", "pages_of_other_sites"),
        ("takes_any_site", "pages_of_other_sites"),
    ],
    "gateway/test_passing.py": [
        ("passes_cookies_on", "gets_the_token"),
        ("passes_tokens_on", "gets_the_token"),
        ("leads_around_itself", "redirects_of_the_service"),
    ],
}

#: A plugin file must have a plugin.
_PLUGIN = """
from argosy import hookimpl
from argosy.interfaces import Auth
from argosy_gateway import door, fields

class Unused(Auth):
    name = "unused"
    summary = "Not used"

    def login(self, session):
        pass

    def is_refusal(self, response):
        return False

@hookimpl
def argosy_auth():
    return Unused

"""


def failures(pytester: pytest.Pytester, file: str, test: str) -> list[pytest.TestReport]:
    """Run tests of a file in this process; return those that failed because of an assertion."""
    reports = pytester.inline_run(*_OPTIONS, str(PLUGINS / file), "-k", test).getreports("pytest_runtest_logreport")
    failed = [report for report in reports if report.failed]
    assert all(report.when == "call" for report in failed), [report.longreprtext for report in failed]
    return failed


@pytest.mark.parametrize("file", LOGINS)
def test_a_login_with_a_rule_taken_out_is_found(pytester: pytest.Pytester, file: str) -> None:
    for name, test in LOGINS[file]:
        assert failures(pytester, file, test) == []
        with pytest.MonkeyPatch.context() as patch:
            getattr(logins, name)(patch.setattr)
            assert failures(pytester, file, test) != [], f"{name} was not found"


@pytest.mark.parametrize("file", GATEWAYS)
def test_a_gateway_with_a_rule_taken_out_is_found(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The gateway runs the mutant as a plugin file."""
    plugin = tmp_path / "mutant.py"
    start = gateways.Gateway.__init__
    monkeypatch.setattr(
        gateways.Gateway, "__init__", lambda self, config, *given: start(self, config, "--plugin", str(plugin), *given)
    )
    for name, test in [("", " or ".join(dict.fromkeys(test for _, test in GATEWAYS[file]))), *GATEWAYS[file]]:
        plugin.write_text(_PLUGIN + logins.GATEWAYS.get(name, ""), "utf-8")
        assert bool(failures(pytester, file, test)) == bool(name), f"{name or 'nothing'} was not found"
