"""The torture table, section plugins: those that raise, leave, lie, clash, cannot be imported, or let secrets out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from hazards import TOKEN, fault, files_with
from voyage import Voyage

SetSail = Callable[..., Voyage]
Install = Callable[..., dict[str, str]]

OUTPUT = """
    import argosy, errno, sys

    class Moody(argosy.Output):
        name = "moody"
        summary = "An output that fails on one item"

        def produce(self, item, scratch):
            if item.item.id != "item-00002":
                return [argosy.Product(f"{{item.item.id}}.out", item.files[0].path)]
            {deed}

    @argosy.hookimpl
    def argosy_output():
        return Moody
"""

SOURCE = """
    import argosy, sys

    class Moody(argosy.Source):
        name = "moody"
        summary = "A source that fails"

        def items(self, http):
            yield argosy.Item("one", "One", (argosy.Resource("http://127.0.0.1:9/", "one"),))
            {deed}

    @argosy.hookimpl
    def argosy_source():
        return Moody
"""


def ended(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check how a run ended, and that it says so in plain words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug in argosy" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.slow
@pytest.mark.torture(56, 58)
@pytest.mark.parametrize(
    "deed",
    [
        "raise ZeroDivisionError('oh')",
        "sys.exit(0)",
        "raise FileNotFoundError(errno.ENOENT, 'no such file', 'mine.txt')",
        "raise argosy.ArgosyError('oh')",
        "return None",
        "return 7",
        "return ['a.txt']",
        "return [argosy.Product('../x', item.files[0].path)]",
        "return [argosy.Product('x', scratch)]",
        "return [argosy.Product('x', scratch / 'nothing')]",
        "return [argosy.Product(7, item.files[0].path)]",
        "return [argosy.Product('x', 7)]",
    ],
)
def test_an_output_that_fails_costs_its_item(set_sail: SetSail, install: Install, deed: str) -> None:
    env = install("moody-output", OUTPUT.format(deed=deed), "moody")
    voyage = set_sail(items=4, lease_mode="revoke", max_workers=2, output=["files", "moody"])
    done = voyage.run(env=env)
    ended(done, 1, "item-00002", "moody")
    assert voyage.done() == {"item-00001", "item-00003", "item-00004"}
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)
    assert not (voyage.root / "x").exists()


@pytest.mark.slow
@pytest.mark.torture(56, 58)
@pytest.mark.parametrize(
    "deed",
    [
        "raise ZeroDivisionError('oh')",
        "sys.exit(0)",
        "raise FileNotFoundError('mine.txt')",
        "yield None",
        "yield 'http://h/'",
    ],
)
def test_a_source_that_fails_ends_the_run(set_sail: SetSail, install: Install, deed: str) -> None:
    env = install("moody-source", SOURCE.format(deed=deed), "moody")
    voyage = set_sail(items=1, source="moody")
    ended(voyage.run(env=env), 7, "moody")
    assert voyage.server.stats().requests == 0


AUTH = """
    import argosy, sys
    from argosy_plugins.auth.form_login import FormLogin

    class Moody(FormLogin):
        name = "moody"
        summary = "An auth that fails"

        def is_refusal(self, response):
            if "item-00002" in response.url:
                {deed}
            return super().is_refusal(response)

        def close(self):
            raise ZeroDivisionError("at the end")

    @argosy.hookimpl
    def argosy_auth():
        return Moody
"""


@pytest.mark.slow
@pytest.mark.torture(56)
@pytest.mark.parametrize("deed", ["raise ZeroDivisionError('oh')", "sys.exit(0)"])
def test_an_auth_that_fails_ends_the_run_and_costs_no_token(set_sail: SetSail, install: Install, deed: str) -> None:
    env = install("moody-auth", AUTH.format(deed=deed), "moody")
    voyage = set_sail(items=4, lease_mode="revoke", max_workers=2)
    voyage.config["auth"]["use"] = "moody"
    ended(voyage.run(env=env), 7, "'moody'", "at the end")
    assert voyage.damaged() == []
    voyage.config["auth"]["use"] = "form-login"
    ended(voyage.run(env=env), 0)
    assert voyage.wrong() == []
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 1)


@pytest.mark.torture(59)
def test_two_plugins_with_one_name(set_sail: SetSail, install: Install) -> None:
    env = install("bad-plugin", OUTPUT.format(deed="pass").replace('"moody"', '"files"'), "files")
    voyage = set_sail(items=1)
    ended(voyage.run(env=env), 7, "'files'", "from argosy", "from bad-plugin", "--no-plugin bad-plugin")
    assert voyage.server.stats().requests == 0
    ended(voyage.run("--no-plugin", "bad-plugin", env=env), 0)


@pytest.mark.slow
@pytest.mark.torture(59)
@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("import no_such_module_at_all", "no_such_module_at_all"),
        ("raise SystemExit(0)", "SystemExit"),
        (OUTPUT.format(deed="pass").replace("argosy.Output", "object"), "not a subclass of argosy.Output"),
        (OUTPUT.format(deed="pass").replace("argosy_output", "argosy_outputt"), "argosy_outputt"),
    ],
)
def test_a_plugin_that_cannot_be_used(set_sail: SetSail, install: Install, source: str, word: str) -> None:
    env = install("bad-plugin", source, "moody")
    voyage = set_sail(items=1, output=["files", "moody"])
    ended(voyage.run(env=env), 7, "bad-plugin", word, "--no-plugin bad-plugin")
    assert voyage.server.stats().requests == 0
    voyage.config["output"] = "files"
    ended(voyage.run(env=env), 0)  # only runs that name it import it


@pytest.mark.torture(60)
def test_no_secret_in_anything_that_is_written(set_sail: SetSail, install: Install) -> None:
    tell = "raise ValueError(str({**item.item.metadata}))"
    env = install("moody-output", OUTPUT.format(deed=tell), "moody")
    faults = [
        fault("lost", times=2),
        fault("login_page", times=1),
        fault("status", times=2),
        fault("reset", times=1),
    ]
    faults += [fault("broken_headers", times=1), fault("cut", times=1), fault("bad_length", path="signed")]
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=4, faults=faults, output=["files", "moody"])
    signed = "TopSecretSignature"
    urls = [f"/status/404?token={signed}", f"/files/signed?size=9&X-Amz-Signature={signed}"]
    lines = [{"url": voyage.server.url_for(url)} for url in urls]
    lines += [{"url": f"http://127.0.0.1:9/{n}?access_token={signed}", "path": f"p{n}"} for n in range(2)]
    with (voyage.root / "books.jsonl").open("a", encoding="utf-8") as manifest:
        manifest.write("\n".join(map(json.dumps, lines)))
    out = voyage.root / "out"
    out.mkdir()
    arguments = ["--report", str(out / "report.json"), "--events", str(out / "events.jsonl")]
    done = voyage.run(*arguments, env=env)
    ended(done, 1)
    (out / "stdout").write_text(done.stdout, "utf-8")
    (out / "stderr").write_text(done.stderr, "utf-8")
    assert "***" in done.stderr, "the URLs that failed are shown, but for their secrets"
    password = voyage.server.password.encode()
    assert files_with(out, password, signed.encode()) == []
    assert files_with(voyage.library, password) == []
    assert TOKEN.search((voyage.root / "cookies.json").read_bytes()), "or the search would find nothing anywhere"
    assert len(json.loads((out / "report.json").read_text("utf-8"))["items"]) == 34
