"""The rules of the lease, checked in all runs of a model; and with any rule left out, something breaks.

The number of states of each search is shown by ``pytest -rP tests/model``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from missing import need
from spin import MODELS, TOOLS, search

#: How long a search takes depends on the machine alone.
pytestmark = pytest.mark.timeout(900)

#: All rules, within bounds. Where it is not said: 2 workers, 2 requests each, 2 faults (see lease.pml).
COMPLETE = {
    "a lock of the system": ("lease.pml", "REQUESTS=3"),
    "three workers": ("lease.pml", "WORKERS=3 REQUESTS=1"),
    "three faults": ("lease.pml", "REQUESTS=1 FAULTS=3"),
    "a lease that lapses": ("lease.pml", "TTL"),
    "waiting in doubt": ("lease.pml", "WAIT"),
    "waiting in doubt, lapses": ("lease.pml", "WAIT TTL"),
    "to the end of the body": ("lease.pml", "TO_END"),
    "a cookie and a header field": ("lease.pml", "FIELDS"),
    "a token in the body": ("lease.pml", "TO_END BODY"),
    "chosen by watching": ("auto.pml", ""),
    "chosen by watching, three": ("auto.pml", "WORKERS=3 REQUESTS=1"),
}

#: No run goes round for ever, so each comes to its end with every request answered.
ENDING = {
    "a lock of the system": ("lease.pml", ""),
    "a lease that lapses": ("lease.pml", "TTL FAULTS=1"),
    "waiting in doubt": ("lease.pml", "WAIT FAULTS=1"),
    "to the end of the body": ("lease.pml", "TO_END FAULTS=1"),
    "a cookie and a header field": ("lease.pml", "FIELDS FAULTS=1"),
    "a token in the body": ("lease.pml", "TO_END BODY FAULTS=1"),
    "chosen by watching": ("auto.pml", "FAULTS=1"),
}

#: What is no rule: how much there is of everything, and what kind of store and service it is.
BOUNDS = {"WORKERS", "REQUESTS", "FAULTS", "TTL", "WAIT", "TO_END", "FIELDS", "BODY"}

REPLACED = r"==newest\["  # the assertion on what arrives at the service
TORN = r"along==token"  # the assertion on the header field that goes with a token
OVERLAPPING = "overlaps"  # the assertion on what requests that overlap may carry
NEEDLESS = r"known==0|logging_in"  # the assertions on logins
DEADLOCK = "invalid end state"

#: One rule left out, by its name in the model, and how that breaks. The numbers are those
#: of the rules in docs/explanation/the-lease.md.
LEFT_OUT = [
    # 1. the newest record is read under the hold, and the token is bound then, not before
    ("lease.pml", "NO_HOLD", NEEDLESS),
    ("lease.pml", "TOKEN_BEFORE_THE_QUEUE", REPLACED),
    ("lease.pml", "TOKEN_OF_ITS_OWN", REPLACED),  # each worker keeps what its own answers brought
    ("lease.pml", "LOOK_WITHOUT_RAISING TTL", NEEDLESS),  # reading does not raise the generation
    ("lease.pml", "LOOK_AFTER_TAKING TTL WAIT", REPLACED),  # taking and reading are two steps
    # 2. mark before sending
    ("lease.pml", "NO_MARK", REPLACED),
    ("lease.pml", "MARK_AFTER_SENDING", REPLACED),
    # 3. send once; what was not sent leaves the token good
    ("lease.pml", "SEND_AGAIN", REPLACED),
    ("lease.pml", "UNSENT_KEEPS_THE_MARK", NEEDLESS),
    # 4. settle first, in one commit, whatever the status
    ("lease.pml", "SETTLE_IN_TWO_STEPS", REPLACED),
    ("lease.pml", "SETTLE_SUCCESSES_ONLY", REPLACED),
    # 5. release after that, to the end of the body where the service wants it, and always
    ("lease.pml", "RELEASE_BEFORE_SETTLING", NEEDLESS),
    ("lease.pml", "RELEASE_AT_THE_HEADERS TO_END", REPLACED),
    ("lease.pml", "DOUBT_KEEPS_THE_HOLD", DEADLOCK),
    # 6. a token in doubt is not sent; one that waits does so until nothing can arrive any more
    ("lease.pml", "IGNORE_THE_MARK", REPLACED),
    ("lease.pml", "DOUBT_CLEARS_THE_MARK", REPLACED),
    ("lease.pml", "WAIT_TOO_SHORT WAIT", REPLACED),
    # 7. after a refusal look again; the loser never clears the winner's token; one login
    ("lease.pml", "NO_SECOND_LOOK", NEEDLESS),
    ("lease.pml", "LOSER_CLEARS", NEEDLESS),
    ("lease.pml", "LOGIN_WITHOUT_THE_HOLD", NEEDLESS),
    # 8. a deadline that is shorter than the time-to-live
    ("lease.pml", "NO_DEADLINE TTL", NEEDLESS),
    ("lease.pml", "NO_DEADLINE TTL WAIT", REPLACED),
    # 9. one whose lease has lapsed neither marks nor settles, nor ends somebody else's
    ("lease.pml", "NO_FENCE TTL", NEEDLESS),
    ("lease.pml", "RELEASE_OF_ANYBODY TTL", NEEDLESS),
    ("lease.pml", "NO_LAPSE TTL", DEADLOCK),
    # a cookie and a header field: signed under the lease, stored in one commit, and a blank is no token
    ("lease.pml", "FIELD_BEFORE_THE_QUEUE FIELDS", TORN),
    ("lease.pml", "FIELD_IN_A_SECOND_COMMIT FIELDS", TORN),
    ("lease.pml", "BLANK_IS_A_TOKEN FIELDS", TORN),
    # a token in the body: the lease is held until it is stored
    ("lease.pml", "RELEASE_AT_THE_HEADERS TO_END BODY", REPLACED),
    ("lease.pml", "BODY_AFTER_THE_LEASE TO_END BODY", REPLACED),
    # auto: the token and the switch in one commit, for good; one look decides and binds; a late answer loses
    ("auto.pml", "NO_SWITCH", OVERLAPPING),
    ("auto.pml", "SWITCH_IN_TWO_STEPS", OVERLAPPING),
    ("auto.pml", "NOT_FOR_GOOD", OVERLAPPING),
    ("auto.pml", "TWO_LOOKS", OVERLAPPING),
    ("auto.pml", "LATE_ANSWERS_WIN", REPLACED),
    ("auto.pml", "SWITCH_BY_REFUSAL", REPLACED),  # after somebody's login, with its requests under way
]


@pytest.fixture(autouse=True, scope="module")
def tools() -> None:
    need(*TOOLS)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "defines"), COMPLETE.values(), ids=COMPLETE.keys())
def test_no_replaced_token_is_sent_and_nobody_logs_in_without_need(tmp_path: Path, model: str, defines: str) -> None:
    found = search(model, defines, tmp_path)
    print(f"{found.states} states")
    assert found.errors == 0, found.report
    assert found.exhaustive, found.report
    assert found.unreached == 0, f"what no run comes to is not checked:\n{found.report}"
    assert found.states > 100_000


@pytest.mark.slow
@pytest.mark.parametrize(("model", "defines"), ENDING.values(), ids=ENDING.keys())
def test_every_run_comes_to_its_end(tmp_path: Path, model: str, defines: str) -> None:
    found = search(model, defines, tmp_path, cycles=True)
    print(f"{found.states} states")
    assert (found.errors, found.exhaustive) == (0, True), found.report


def test_a_run_without_an_end_is_noticed(tmp_path: Path) -> None:
    found = search("lease.pml", "NO_RECOVERY", tmp_path, cycles=True, optimise=False)
    assert found.errors == 1
    assert "non-progress cycle" in found.report


@pytest.mark.slow
@pytest.mark.parametrize(("model", "defines", "how"), LEFT_OUT, ids=[f"{defines}" for _, defines, _ in LEFT_OUT])
def test_with_a_rule_left_out_it_breaks(tmp_path: Path, model: str, defines: str, how: str) -> None:
    found = search(model, defines, tmp_path, optimise=False)
    assert found.errors == 1, f"nothing breaks:\n{found.report}"
    (what,) = [line for line in found.report.splitlines() if line.startswith("pan:1:")]
    assert re.search(how, what), what


def test_every_rule_that_the_model_has_is_left_out_once() -> None:
    text = "".join(path.read_text("utf-8") for path in MODELS.glob("*.pml"))
    names = set(re.findall(r"^#ifn?def (\w+)|defined\((\w+)\)", text, re.M))
    rules = {first or second for first, second in names} - BOUNDS
    assert rules == {name for _, defines, _ in LEFT_OUT for name in defines.split()} - BOUNDS | {"NO_RECOVERY"}
