"""Sources, auth plugins, outputs and observers that break one promise each are found, and the promise is named."""

from __future__ import annotations

import pytest

from argosy_devkit.contracts.promises import HEADING
from mutants import auths, carrier_auths, collecting_outputs, observers, outputs, sources
from mutants.hunt import reports_of, survivors

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

#: Imported here, so that other processes find the same classes in every run of pytester, which forgets its imports.
MUTANTS = (auths, carrier_auths, collecting_outputs, observers, outputs, sources)

_SUITES = {
    "outputs": """
from argosy_devkit.contracts.output import OutputContract
from mutants import outputs as mutants

class Suite(OutputContract):
    pass
""",
    "collecting_outputs": """
from argosy_devkit.contracts.collecting_output import CollectingOutputContract
from mutants import collecting_outputs as mutants

class Suite(CollectingOutputContract):
    pass
""",
    "sources": """
from argosy_devkit.contracts.source import SourceContract
from mutants import sources as mutants

class Suite(SourceContract):
    def options(self, tmp_path):
        text = "https://library.example/1\\nhttps://library.example/2\\nhttps://library.example/3*\\n"
        (tmp_path / "list.txt").write_text(text)
        return {}

    def broken_options(self, tmp_path):
        (tmp_path / "broken.txt").write_text("no URL\\n")
        return {"path": "broken.txt"}
""",
    "observers": """
from argosy_devkit.contracts.observer import ObserverContract
from mutants import observers as mutants

class Suite(ObserverContract):
    pass
""",
    "auths": """
from argosy_devkit.contracts.auth import AuthContract
from mutants import auths as mutants


class Suite(AuthContract):
    def options_for(self, service, tmp_path):
        (tmp_path / "right.txt").write_text(service.password)
        return {"url": service.login_url, "user": service.user, "password": {"file": "right.txt"}}

    def wrong_options_for(self, service, tmp_path):
        (tmp_path / "wrong.txt").write_text("not-the-password")
        return {**self.options_for(service, tmp_path), "password": {"file": "wrong.txt"}}
""",
}

#: The suite of auths, at a service that ends the session if it gets a token that it replaced in a header field.
_SUITES["header_auths"] = (
    _SUITES["auths"].replace("import auths as", "import carrier_auths as")
    + """
    @__import__("pytest").fixture
    def service(self, library_server):
        return library_server(lease_mode="revoke", carrier="header")
"""
)
_SUITES["nonce_auths"] = _SUITES["header_auths"].replace('carrier="header"', 'carrier="nonce"')

_CASE = """
class Test{name}(Suite):
    plugin = mutants.{name}
"""

#: By kind: mutant, the test that must see it, and what it says (a pattern).
CASES = {
    "outputs": [
        ("Refuses", "makes_something", "refuses the first item"),
        ("TrustsIds", "safe_names", "asks for the name"),
        ("ReturnsPaths", "safe_names", "must yield Products"),
        ("SaysItMakesNothing", "whole_files", "its makes_files is false"),
        ("ForgetsToWrite", "whole_files", "its file does not exist"),
        ("HandsOnAFolder", "whole_files", "not a regular file"),
        ("WritesInPlace", "nothing_else", "files outside its scratch folder"),
        ("ChangesStagedFiles", "nothing_else", "changed the files of others"),
        ("NamesByTitle", "never_want_one_name", "both want the name"),
        ("Counts", "same_names", "got other names"),
        ("TellsOtherNames", "are_told", "which produce.. does not ask for"),
        ("RestoresSomethingElse", "is_restored", "came back as something else"),
        ("RemembersInItsClass", "nothing_of_other_items", "in a separate process"),
        ("KeepsTheItem", "any_thread", "its products differ"),
        ("HidesAFullDisk", "full_disk", "handed on files that were not written|FileNotFoundError"),
        ("BlamesTheItem", "full_disk", "it blamed the item"),
        ("FailsInARun", "run_keeps", "LookupError"),
        ("HasNoSummary", "argosy_takes_it", "its summary must be one line"),
        ("HasABrokenSchema", "have_a_schema", "is not valid at"),
        ("HasAWrongDefault", "defaults_are_valid", "the default of the option 'level'"),
        ("TakesOtherOptions", "options_are_valid", "level"),
        ("Nowhere", "import_it", "no_such_name"),
        ("OnlyHere", "import_it", "another process cannot import module_of_this_process.OnlyHere"),
        ("OnlyHere", "full_disk", "another process cannot import module_of_this_process.OnlyHere"),
        ("LeavesAFileOpen", "closes_what", "must close the files"),
        ("LeavesAThread", "closes_what", "must end the threads"),
    ],
    "collecting_outputs": [
        ("MakesNothing", "collects_something", "creates no file from the items"),
        ("LeadsOut", "collected_names", "asks for the name"),
        ("CollectsPaths", "collected_names", "must yield Products"),
        ("HandsOnItsFolder", "collected_files", "not a regular file"),
        ("NumbersItsPages", "same_each_time", "over 0 items it asks for"),
        ("CountsFirst", "read_once", "reads them more than once"),
        ("RemembersItems", "makes_them_anew", "in a separate process"),
        ("KeepsItemsInItsClass", "makes_them_anew", "in a separate process"),
        ("AddsToItsOldFile", "makes_them_anew", "with its old file"),
        ("WritesInPlace", "touches_nothing", "files outside its scratch folder"),
        ("ChangesItsOldFile", "touches_nothing", "it changed files outside its scratch folder"),
        ("HidesAFullDisk", "who_collects", "handed on files that were not written|FileNotFoundError"),
        ("FailsInARun", "makes_its_files", "LookupError"),
    ],
    "sources": [
        ("ReturnsAList", "one_by_one", "returned a list"),
        ("YieldsTexts", "id_of_its_own", "yielded a str"),
        ("AsksUnannounced", "whether_it_asks", "does not set asks"),
        ("HasOneId", "id_of_its_own", "two items have the id"),
        ("KeepsObjects", "can_be_kept", "cannot be written as JSON"),
        ("KeepsTuples", "can_be_kept", "comes back changed|metadata changed|must be text"),
        ("GivesFileUrls", "can_be_fetched", "the URL 'file:"),
        ("KnowsOddDigests", "can_be_fetched", "has no known name"),
        ("LeadsOut", "names_are_safe", "asks for the name"),
        ("WantsOneName", "names_are_safe", "both want the name"),
        ("NumbersItsLooks", "second_look", "found other items"),
        ("LeavesItsFileOpen", "given_up", "files stay open"),
        ("WritesNotes", "directory_alone", "into the target directory"),
        ("RemembersItems", "worker_can_expand", "AttributeError"),
        ("MixesUpItems", "worker_can_expand", "made 'another' of the item"),
        ("RaisesAnything", "cannot_be_read", "ValueError"),
        ("SaysNothingOfWhatToDo", "cannot_be_read", "neither a problem nor a hint"),
        ("ReadsOtherwiseInARun", "be_planned", "a different number of items"),
    ],
    "observers": [
        ("StumblesOverRetries", "sees_a_run", "LookupError: a retry"),
        ("ExpectsTheOrder", "every_kind", "AttributeError"),
        ("KnowsAllKinds", "does_not_know", "KeyError"),
        ("WritesAscii", "any_text", "UnicodeEncodeError"),
        ("ChangesEvents", "as_they_are", "changed the data of an event"),
        ("IsBoundToItsThread", "any_thread", "another thread"),
        ("WaitsForTheEnd", "in_the_middle", "no end"),
        ("FailsInARun", "run_goes_well", "failed and gets no more events"),
    ],
    "auths": [
        ("LogsNobodyIn", "accepts_the_session", "does not accept the session"),
        ("LogsInTooEarly", "creating_it_sends", "sent a request while it was created"),
        ("SeesNoRefusal", "sees_a_refusal", "is_refusal.. is false"),
        ("SeesRefusalsEverywhere", "file_is_not_a_refusal", "for a refusal"),
        ("TakesTroubleForARefusal", "other_errors", "takes status 404 for a refusal"),
        ("RaisesAnything", "wrong_password", "raised ValueError"),
        ("SaysThatTheSessionIsLost", "wrong_password", "raised SessionLost"),
        ("TellsThePassword", "wrong_password", "shows a secret"),
        ("KeepsItsSecretToItself", "secrets_are_known", "does not know a secret"),
        ("ShowsItself", "secrets_are_known", "its repr shows a secret"),
        ("SignsEverything", "signer_keeps", "gives the credentials to another host"),
        ("SignsWithATuple", "signer_keeps", "returned a tuple"),
        ("GivesItsTokenToAll", "header_tokens", "a token goes to any host"),
        ("LogsInOnce", "log_in_again", "session of a second login"),
        ("RenewsNothing", "a_refresh_renews", "does not accept the renewed"),
        ("RenewsAnything", "a_refresh_renews", "without credentials"),
        ("RaisesWhereTheTokenIsSpent", "a_refresh_renews", "raised ConfigError"),
        ("SaysThatItHasLoggedOut", "logout_ends", "still accepts"),
        ("MakesAMistakeOfNoAnswer", "unreachable", "raised KeyError"),
        ("LogsNobodyIn", "needs_one_login", "items failed|SessionLost|login"),
        ("KeepsTheSessionAlive", "needs_one_login", "requests carried a token that the service had replaced"),
        ("DoubtsNowAndThen", "needs_one_login", "logins in one run; one is enough"),
    ],
}

#: The same for auths whose service does not replace cookies, but header fields or nonces.
CARRIERS = {
    "header_auths": [
        ("DeclaresNothing", "needs_one_login", "requests carried a token that the service had replaced"),
        ("DeclaresNothing", "next_run", "requests carried a token that the service had replaced"),
        ("NamesNoOrigins", "carriers_are_complete", "'access-token' has no origins"),
        ("TrustsAnotherOrigin", "carriers_are_complete", "another origin may replace"),
        ("ReadsNoField", "carriers_are_complete", "neither a field nor find"),
        ("FollowsNobody", "carriers_are_complete", "follows 'access-token', which is not another"),
        ("RemembersItself", "next_run", "requests carried a token that the service had replaced"),
        ("RemembersForAll", "needs_one_login", "requests carried a token that the service had replaced"),
    ],
    "nonce_auths": [
        ("SignsEverything", "signer_keeps", "gives the credentials to another host"),
        ("KeepsItsFirstNonce", "needs_one_login", "requests carried a token that the service had replaced"),
    ],
}


def source_of(kind: str, names: list[str]) -> str:
    return _SUITES[kind].replace("class Suite(", "class Suite(") + "".join(
        _CASE.format(name=name) for name in sorted(set(names))
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [*CASES, *CARRIERS])
def test_a_plugin_that_breaks_a_promise_is_found(pytester: pytest.Pytester, kind: str) -> None:
    cases = {**CASES, **CARRIERS}[kind]
    assert survivors(pytester, source_of(kind, [name for name, _, _ in cases]), cases) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CASES)
def test_a_plugin_that_keeps_its_promises_passes(pytester: pytest.Pytester, kind: str) -> None:
    reports = reports_of(pytester, source_of(kind, ["Good"]), "TestGood")
    assert [report.longreprtext for report in reports if report.failed] == []
    assert sum(report.passed and report.when == "call" for report in reports) > 10


def test_header_fields_beside_the_cookies_change_nothing(pytester: pytest.Pytester) -> None:
    reports = reports_of(pytester, source_of("auths", ["AddsHeaders"]), "TestAddsHeaders and needs_one_login")
    assert [report.longreprtext for report in reports if report.failed] == []
    assert sum(report.passed and report.when == "call" for report in reports) == 1


@pytest.mark.parametrize("kind", CASES)
def test_each_rule_has_a_mutant(kind: str) -> None:
    from argosy_devkit.contracts import auth, collecting_output, observer, output, plugin_suite, source

    suite, tested_elsewhere = {
        "outputs": (output.OutputContract, object),
        "collecting_outputs": (collecting_output.CollectingOutputContract, output.OutputContract),
        "sources": (source.SourceContract, plugin_suite.PluginRules),
        "observers": (observer.ObserverContract, plugin_suite.PluginRules),
        "auths": (auth.AuthContract, plugin_suite.PluginRules),
    }[kind]
    rules = {name for name in dir(suite) if name.startswith("test_")} - set(dir(tested_elsewhere))
    others = CARRIERS.values() if kind == "auths" else ()
    cases = [case for cases in (CASES[kind], *others) for case in cases]
    missed = {rule for rule in rules if not any(tests in rule for _, tests, _ in cases)}
    assert missed == set()


def test_a_broken_promise_is_named_with_its_document(pytester: pytest.Pytester) -> None:
    (report,) = [
        report
        for report in reports_of(pytester, source_of("outputs", ["TrustsIds"]), "TestTrustsIds and safe_names")
        if report.failed
    ]
    said = dict(report.sections)[HEADING]
    assert "TrustsIds ('good') broke this promise: A product's name is relative and safe" in said
    assert "It is documented at: argosy.Output.produce (docs/plugins/contracts.md)" in said


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "name", "tests", "promise", "place"),
    [
        ("outputs", "OnlyHere", "full_disk", "Its class is in an importable module", "argosy.Plugin"),
        ("outputs", "NeedsALibrary", "safe_names", "produce() makes products", "argosy.Output.produce"),
        ("sources", "IsNotLetIn", "names_are_safe", "expand() finds the resources", "argosy.Source.expand"),
    ],
)
def test_a_promise_that_others_rely_on_is_named_in_their_place(
    pytester: pytest.Pytester, kind: str, name: str, tests: str, promise: str, place: str
) -> None:
    reports = reports_of(pytester, source_of(kind, [name]), f"Test{name} and {tests}")
    (said,) = [dict(report.sections)[HEADING] for report in reports if report.failed]
    assert f"broke this promise: {promise}" in said
    assert f"It is documented at: {place} (docs/plugins/contracts.md)" in said
