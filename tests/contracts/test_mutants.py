"""Each rule is taken out once, and the suites notice it: a suite that cannot fail proves nothing."""

from __future__ import annotations

import pytest

import argosy.engine.ipc  # noqa: F401 - for runs with worker processes, as are the mutants below
from argosy.http.adapter import LeasedAdapter
from argosy_devkit.contracts.plugin_suite import PluginRules
from argosy_devkit.contracts.promises import HEADING
from mutants import adapters, carriers, managers, stores, strategies
from mutants.hunt import reports_of, survivors

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

#: Imported here, so that other processes find the same classes in every run of pytester, which forgets its imports.
MUTANTS = (adapters, carriers, managers, stores, strategies)

_IMPORTS = """
from argosy_devkit.contracts.cookie_store import CookieStoreContract
from argosy_plugins.cookie_stores.sqlite import SqliteStore
from argosy_devkit.contracts.strategy import StrategyContract
from lease_suite.contract import LeaseContract
from mutants import adapters, carriers, managers, stores, strategies
"""

_STORE = """
class Test{name}(CookieStoreContract):
    plugin = stores.{name}

    def files(self, tmp_path):
        return stores.only_file(tmp_path)
"""

_LEASE = """
class Test{name}(LeaseContract):
    plugin = SqliteStore
    {attribute} = {module}.{name}
"""

_STRATEGY = """
class Test{name}(StrategyContract):
    plugin = strategies.{name}
"""

#: By what they are about: store, the test that must see it, and what it says (a pattern).
STORES = {
    "records": [
        ("ComparesNothing", "wrong_generation", "DID NOT RAISE.*GenerationMoved"),
        (
            "ComparesWithoutTheLock",
            "each_generation_is_won_once",
            "each generation must be won by exactly one",
        ),
        ("ForgetsWhatWasLearned", "comes_back", "a record with what was learned must come back"),
        ("ClosesNothing", "closed_it_holds", "close.. must close the files"),
        ("NeverReadsAgain", "no_change_of_four", "."),
        ("MixesUpNames", "sessions_are_independent", "GenerationMoved"),
        ("WritesInPlace", "reader_sees_whole", "StoreDamaged"),
        ("RemovesFirst", "reader_sees_whole", "a record must never be missing"),
    ],
    "holds": [
        ("LetsEverybodyIn", "hold_excludes", "must not be granted to anybody else"),
        ("LetsEverybodyIn", "one_at_a_time", "two threads held one session"),
        ("HoldsInOneProcess", "two_processes", "held by another process was granted"),
        ("HoldsAfterDeath", "killed_holder", "a thread is still waiting"),
        ("ServesTheLastFirst", "served_in_order", "first come, first served"),
        ("EndsOthersHolds", "and_twice", "must not end somebody else's hold"),
        ("HoldsReaders", "does_not_keep_from_reading", "StoreError.*held"),
    ],
    "survival": [
        ("DoesNotTestItsLock", "locks_that_do_nothing", "whose lock does not lock must refuse"),
        ("StartsEmpty", "damaged", "DID NOT RAISE.*StoreDamaged"),
        ("SkipsTheChecksum", "damaged", "DID NOT RAISE.*StoreDamaged"),
        ("ReadableByAll", "nobody_else", "can be read by others"),
        ("RemovesWhatFails", "write_that_fails", "a write that failed must leave the old record"),
        ("SaysWrittenTooEarly", "killed_writer", "is gone"),
        ("WritesInPlace", "killed_writer", "StoreDamaged"),
    ],
}

#: By rule: keeper or adapter, the test that must see it, and what it says (a pattern).
LEASES = {
    "hold while reading": [
        ("managers.DoesNotHold", "waits_for_the_one_before", "the second lease to wait"),
        ("managers.DoesNotHold", "threads_share", r"replaced token was sent|SessionLost|stats\.refused"),
    ],
    "mark before sending": [
        ("managers.DoesNotMark", "mark_is_there", "the mark must be there before"),
        ("managers.DoesNotMark", "killed_between_sending", "a replaced token was sent"),
        ("managers.MarksAfterSending", "killed_between_sending", "a replaced token was sent"),
        ("managers.SendsWithoutTheMark", "cannot_be_written", "DID NOT RAISE.*StoreError"),
        ("managers.SendsWithoutTheMark", "store_that_fails", "DID NOT RAISE.*StoreError"),
    ],
    "send once": [
        ("adapters.SendsAgain", "not_sent_again", "a replaced token was sent"),
        ("managers.KeepsTheMarkOfWhatWasNotSent", "what_was_not_sent", "leaves no doubt"),
    ],
    "settle first": [
        ("managers.DoesNotCommit", "settling_is_one", "settling must store the new token"),
        ("managers.DoesNotCommit", "threads_share", "a replaced token was sent"),
        ("managers.ClearsTheMarkFirst", "settling_is_one", "must be one write"),
        ("managers.SettlesLater", "settling_is_one", "before the lease ends"),
        ("managers.SettlesAfterTheRelease", "settling_is_one", "before the lease ends"),
        ("adapters.SettlesGoodAnswersOnly", "every_status", "a replaced token was sent"),
    ],
    "release, then stream": [
        ("managers.DoesNotHoldToTheHeaders", "mark_is_there", "must be held while its token"),
        ("managers.HoldsToTheLastByte", "while_the_body", "the token of a body on its way"),
    ],
    "in doubt": [
        ("managers.IgnoresTheMark", "killed_between_sending", "a replaced token was sent"),
        ("managers.ClearsTheMarkAfterALostAnswer", "lost_answer_costs", "leaves the mark"),
        ("adapters.TakesLostForUnsent", "not_sent_again", "a replaced token was sent"),
        ("managers.DoesNotWait", "one_waits", "must not be held while waiting"),
        ("managers.LogsInWithoutAsking", "person_is_asked", "DID NOT RAISE.*SessionInDoubt"),
    ],
    "refusals and logins": [
        ("managers.LogsInWithoutReadingAgain", "programs_log_in_once", "must cost one login"),
        ("managers.LogsInWithoutReadingAgain", "newer_token_costs", "must be tried before a login"),
        ("managers.ClearsTheWinnersToken", "programs_log_in_once", "."),
        ("managers.LogsInBesideOthers", "refused_threads", "a login without a reason|session held"),
        ("managers.TriesAFailedLoginAgain", "login_that_fails", "must not be tried again"),
        ("managers.WipesAfterAFailedLogin", "login_that_fails", "must keep the old record"),
        ("managers.LogsInForEver", "bounded", "DID NOT RAISE.*SessionLost"),
    ],
    "what says who asks": [
        ("managers.TrustsAHeader", "header_beside", "must be sent under a lease of its own"),
        ("managers.DoesNotWaitForTheFirstAnswer", "one_by_one", "the second request to wait"),
        ("managers.SendsWhatHasExpired", "has_expired", "a request without a token"),
    ],
    "what a response brings": [
        ("carriers.TakesABlankForAToken", "not_at_all[blank]", "must change as one"),
        ("carriers.ChangesFollowersAlone", "not_at_all[follower]", "must change as one"),
        ("carriers.TrustsEveryOrigin", "another_origin", "another origin replaced the token"),
        ("carriers.LosesTheScheme", "keeps_the_scheme", "must keep the scheme"),
        ("carriers.TellsNoSecrets", "is_a_secret", "before argosy knew that it is a secret"),
    ],
    "header fields in one commit": [
        ("carriers.SettlesFieldsInASecondCommit", "settled_in_one", "must be one write"),
        ("managers.SettlesAfterTheRelease", "settled_in_one", "must be one write"),
        ("managers.DoesNotCommit", "settled_in_one", "must store the new tokens of all carriers"),
        ("carriers.BindsTheSetEarly", "read_under", "a replaced token was sent"),
        ("carriers.BindsTheSetEarly", "no_cookie[header-HeaderLogin]", "a replaced token was sent"),
        ("carriers.SignsBeforeTheLease", "no_cookie[nonce-NonceLogin]", "a replaced token was sent"),
        ("carriers.StoresTheBodyAfterTheLease", "token_of_a_body", "before the lease ends"),
    ],
    "overlapping header fields": [
        ("carriers.LetsTheLastAnswerWin", "first_one_wins", "first answer must win"),
        ("carriers.LetsTheLastAnswerWin", "is_kept_for", "the first answer must be kept"),
        ("carriers.MergesNothing", "merged_into_a_newer", "must be merged into the newer record"),
        ("carriers.LosesTheNonce", "is_kept_for", "the first answer must be kept"),
        ("carriers.LogsInDespiteANewerSet", "newer_set", "must be tried before a login"),
        ("carriers.SharesDespiteAReplacedField", "auto_counts", "auto let requests overlap"),
        ("carriers.TakesBlanksForQuiet", "blanks_for_quiet", "took blanks"),
    ],
    "header fields in doubt": [
        ("carriers.SendsFieldsInDoubt", "fields_in_doubt", "a replaced token was sent"),
        ("carriers.SendsANonceInDoubt", "nonce_in_doubt", "must not be sent again"),
    ],
    "deadline": [("adapters.HasNoDeadline", "headers_that_are_late", "DID NOT RAISE.*RequestException")],
    "compare generations": [("managers.IsNotFenced", "holder_that_lapsed", "must leave the winner's token")],
    "bind the token last": [
        ("managers.SleepsWithTheLease", "politeness", "must not be held while waiting"),
        ("managers.BindsTheTokenEarly", "threads_share", "a replaced token was sent"),
    ],
    "power loss": [
        ("managers.IgnoresAPowerLoss", "power_loss", "assert 1 == 2"),
        ("managers.NeverSaysThatItIsSynced", "power_loss", "must say so"),
        ("managers.LeavesTheFirstChangeUnsynced", "first_change", "must be on stable storage before"),
    ],
}

#: By where the work is done: strategy, the test that must see it, and what it says (a pattern).
STRATEGIES = {
    "threads": [
        ("TakesAllJobsFirst", "lazily", "jobs were taken ahead"),
        ("SaysTwice", "comes_once", "exactly once"),
        ("KeepsFailures", "failed_and_requeued", "must be returned unchanged"),
        ("IsNotParallel", "never_more", "3 jobs to run at once"),
        ("DoesMoreThanItMay", "never_more", "4 jobs ran at once, with 3 allowed"),
        ("LosesOutcomesWithTheSource", "lose_no_outcome", "must come before the error"),
        ("SpansMachines", "run_goes_well", "each item must be done once, and its outcome returned unchanged"),
        ("TellsLess", "run_goes_well", "was changed|returned unchanged"),
    ],
    "processes": [
        ("StaysAtHome", "done_elsewhere", "in the run's own process"),
        ("StaysAtHome", "killed_worker", "in the run's own process"),
        ("LosesTheJobsOfTheDead", "killed_worker", "exactly once, even if workers are killed"),
        ("LeavesItsProcesses", "done_elsewhere", "to end when the run is over"),
        ("LeavesItsProcesses", "leaves_no_process", "to end when a run is given up"),
        ("HearsCtrlC", "terminal_ends_no_worker[ctrl-c]", "despite SIGINT|SIGINT must not end a worker"),
        ("EndsWithTheTerminal", "terminal_ends_no_worker[hangup]", "despite SIGHUP|SIGHUP must not end a worker"),
    ],
    "channels": [
        ("HidesItsProcesses", "needs_says", r"needs must be Scope\.HOST"),
        ("HasABigAddress", "work_is_small", "the address of a channel must be small"),
        ("CannotBeSentOn", "sent_on", "a worker must be able to pickle its work"),
        ("ShufflesMessages", "reach_the_run", "must arrive once, and in order"),
        ("ForgetsWhatItTold", "tell_its_workers", "told what was said before it connected"),
        ("EndsSilently", "told_that_the_run_is_over", "a worker to be told that the run is over"),
        ("TakesUnreachableForStopped", "unreachable", "must raise RunUnreachable"),
        ("LetsOthersConnect", "nobody_else", "every user of this machine can connect"),
        ("TrustsTheNetwork", "nobody_else", "messages of others were taken"),
        ("UnpicklesFromTheNetwork", "nobody_else", "from the network was unpickled"),
    ],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", STORES)
def test_a_store_that_breaks_a_promise_is_found(pytester: pytest.Pytester, part: str) -> None:
    cases = STORES[part]
    source = "".join(_STORE.format(name=name) for name in sorted({name for name, _, _ in cases}))
    assert survivors(pytester, _IMPORTS + source, cases) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "words"),
    [("ReturnsALock", "returned FairLock, which cannot be called"), ("EndsNoHold", "was not granted")],
)
def test_a_hold_that_cannot_be_ended_is_named_at_once(pytester: pytest.Pytester, name: str, words: str) -> None:
    """Otherwise each test would wait for it, for minutes."""
    reports = reports_of(pytester, _IMPORTS + _STORE.format(name=name), f"Test{name}")
    begun = {report.nodeid.rpartition("::")[2] for report in reports if report.when == "call"}
    assert all(hasattr(PluginRules, test) for test in begun), "a test that needs the store was begun"
    failed = [report for report in reports if report.failed]
    assert len(failed) > 30
    assert all(words in report.longreprtext for report in failed)
    promise = "broke this promise: acquire() returns a function that ends the hold, or None."
    assert all(promise in dict(report.sections)[HEADING] for report in failed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rule", LEASES)
def test_a_lease_with_a_rule_taken_out_is_found(pytester: pytest.Pytester, rule: str) -> None:
    source = ""
    for path in sorted({path for path, _, _ in LEASES[rule]}):
        module, name = path.split(".")
        is_adapter = issubclass(getattr(globals()[module], name), LeasedAdapter)
        attribute = "adapter_class" if is_adapter else "manager_class"
        source += _LEASE.format(name=name, module=module, attribute=attribute)
    cases = [(path.split(".")[1], tests, words) for path, tests, words in LEASES[rule]]
    assert survivors(pytester, _IMPORTS + source, cases) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", STRATEGIES)
def test_a_strategy_that_breaks_a_promise_is_found(pytester: pytest.Pytester, where: str) -> None:
    cases = STRATEGIES[where]
    source = "".join(_STRATEGY.format(name=name) for name in sorted({name for name, _, _ in cases}))
    patience = {"threads": 5.0, "channels": 12.0, "processes": 30.0}[
        where
    ]  # new worker processes take seconds on a busy machine
    try:
        assert survivors(pytester, _IMPORTS + source, cases, patience) == []
    finally:
        for left in strategies._Careless.left:
            left.process.kill()
            left.process.join()
            left.pipe.close()
