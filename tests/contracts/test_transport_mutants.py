"""Transports that break one promise each are found, and the promise is named."""

from __future__ import annotations

import pytest
import trustme  # noqa: F401 - pytester forgets imports, and cryptography cannot be imported twice

from mutants import transports
from mutants.hunt import reports_of, survivors

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

#: Imported here, so that other processes find the same classes in every run of pytester, which forgets its imports.
MUTANTS = (transports,)

_SUITE = """
from argosy_devkit.contracts.transport import TransportContract
from mutants import transports as mutants
"""

_CASE = """
class Test{name}(TransportContract):
    plugin = mutants.{name}
"""

#: Mutant, the test that must see it, and what it says (a pattern).
CASES = [
    ("ReportsLate", "each_step_once_and_in_order", "Error"),
    ("AuthorizesTwice", "each_step_once_and_in_order", "'authorize' != 'sending'"),
    ("DoesNotSayThatItSends", "each_step_once_and_in_order", "'received' != 'sending'"),
    ("SendsAgain", "never_sends_a_request_twice", "DID NOT RAISE"),
    ("TakesTheSessionFirst", "connection_is_up", "the connection: not within"),
    ("UsesDeadConnections", "closes_while_the_hop_waits", "Error"),
    ("CannotBeNested", "hop_may_log_in", "busy"),
    ("HidesTheCause", "what_was_not_sent", "'connect' == 'refused'"),
    ("FollowsRedirects", "redirects_and_cookies", "sent before"),
    ("SwallowsErrors", "body_that_ends_early", "DID NOT RAISE"),
    ("SwallowsErrors", "broken_chunks", "DID NOT RAISE"),
    ("FillsTheBuffer", "bytes_are_given", "TimeoutError"),
    ("ReusesIncompleteOnes", "used_again_unless", "Error"),
    ("TakesWhatIsLeft", "more_than_the_body", "smuggled|Error"),
    ("BelievesTheLength", "unclear_end", r"\[1, 1\] == \[1, 2\]|smuggled"),
    ("TakesTornHeaders", "incomplete_or_endless", "DID NOT RAISE"),
    ("OverlooksLines", "no_token_is_overlooked", r"\['a=1'\]"),
    ("UsesTheEnvironment", "environment_has_no_say", "ProxyError"),
    ("GoesPastTheProxy", "takes_no_host_from_the_proxy", "assert"),
    ("HandsOnTheProxysHeaders", "tunnel_keeps_secrets", "of-the-proxy"),
    ("ResolvesNamesItself", "socks_proxy_resolves", "Error"),
    ("ShowsThePassword", "tunnel_that_is_refused", "shows the proxy's password"),
    ("ShowsThePassword", "socks_proxy_that_cannot", "shows the proxy's password"),
    ("TrustsEverybody", "untrusted_certificate", "DID NOT RAISE"),
    ("DoesNotCheckTheHost", "certificate_for_another_host", "DID NOT RAISE"),
    ("KeepsItsAuthorities", "verify_names", "DID NOT RAISE"),
    ("SendsThePassword", "password_in_the_url", "authorization"),
    ("AsksForCompression", "not_decompressed", "gzip"),
    ("GoesOneByOne", "holds_nobody_up", "Error"),
    ("LeavesConnectionsOpen", "close_closes", "the end of the connection: not within"),
    ("PutsTheDeadlineOff", "trickle_in", "long after"),
]


def _source_of(*names: str) -> str:
    return _SUITE + "".join(_CASE.format(name=name) for name in sorted(set(names)))


@pytest.mark.timeout(600)
def test_a_transport_that_breaks_a_promise_is_found(pytester: pytest.Pytester) -> None:
    assert survivors(pytester, _source_of(*(name for name, _, _ in CASES)), CASES, patience=2.0) == []


@pytest.mark.timeout(600)
def test_a_transport_that_keeps_its_promises_passes(pytester: pytest.Pytester) -> None:
    reports = reports_of(pytester, _source_of("Good"), "TestGood")
    assert [report.longreprtext for report in reports if report.failed] == []
    assert sum(report.passed and report.when == "call" for report in reports) > 60
