"""The program as a person runs it: output, errors, exit codes. Real processes, real distributions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import argosy

Install = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

#: Every kind's default under its built-in name, so that these tests need nothing but the core.
KIT = """
    import argosy

    class Urls(argosy.Source):
        name, summary = "urls", "URLs that are given"
        options_schema = {
            "type": "object",
            "properties": {
                "urls": {"type": "array", "items": {"type": "string"}, "description": "The URLs. " * 12},
                "level": {"type": "integer", "default": 6, "description": "How hard."},
                "token": {"$ref": "argosy:common#/$defs/secret"},
            },
            "required": ["urls"],
        }
        def items(self, http):
            return iter(())

    class NoAuth(argosy.Auth):
        name, summary, anonymous = "none", "Nobody is logged in", True
        def login(self, session): ...
        def is_refusal(self, response): ...

    class Memory(argosy.CookieStore):
        name, summary = "memory", "Kept by the process"
        read = write = acquire = sessions = remove = sync = lambda self, *_, **__: None

    class Files(argosy.Output):
        name, summary = "files", "The files as they are"
        def produce(self, item, scratch):
            return []

    class Requests(argosy.Transport):
        name, summary = "requests", "Sends nothing"
        def send(self, hop, **options): ...

    class Offer:
        def __init__(self, hook, cls):
            setattr(self, hook, argosy.hookimpl(lambda: cls))

    urls = Offer("argosy_source", Urls)
    none = Offer("argosy_auth", NoAuth)
    memory = Offer("argosy_cookie_store", Memory)
    files = Offer("argosy_output", Files)
    requests = Offer("argosy_transport", Requests)
"""


@pytest.fixture
def run(site: Path, tmp_path: Path, install: Install) -> Run:
    """Return what runs ``python -m argosy`` beside the kit's distribution."""
    names = ("urls", "none", "memory", "files", "requests")
    install("kit", KIT, {name: f"kit:{name}" for name in names}, version="2.0")

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(site), **env}
        environment.setdefault("ARGOSY_DEBUG", "")
        command = [sys.executable, "-m", "argosy", *args]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


#: The built-in plugins are left out: these tests are about the frame.
ALONE = ("--no-plugin", "argosy")


def test_a_download_of_a_url_does_not_import_jsonschema(tmp_path: Path) -> None:
    code = (
        "import sys; from argosy.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or ('jsonschema' in sys.modules and 'imported'))"
    )
    given = ["download", "http://127.0.0.1/a.txt", "--directory", str(tmp_path / "d"), "--dry-run"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "1 of 1 items to download, 0 already done.\n")


def test_version_and_help_import_nothing_heavy(run: Run) -> None:
    code = (
        "import sys; from argosy.cli import main; main([sys.argv[1]]); "
        "heavy = {'requests', 'jsonschema', 'rich', 'pluggy'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    for option, words in (("--version", f"argosy {argosy.__version__}"), ("--help", "plugins")):
        command = [sys.executable, "-c", code, option]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert words in done.stdout


def test_a_valid_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('source = { use = "urls", urls = [] }')
    done = run("config", "check", "a.toml", *ALONE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.toml: valid\n", "")
    (tmp_path / "a.json").write_text("{}")
    done = run("config", "check", "a.json", *ALONE)
    assert done.returncode == 0
    assert done.stdout.startswith("a.json: valid\nIt has no source")


def test_every_problem_is_on_stderr_with_exit_code_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('max_workers = 0\nsorce = "urls"')
    done = run("config", "check", "a.toml", *ALONE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "argosy: error: The configuration a.toml is not valid.\n"
        '  a.toml: unknown key "sorce"; did you mean "source"?\n'
        "  a.toml: max_workers: found 0; expected a whole number, at least 1, at most 256\n"
    )
    done = run("config", "check", "missing.toml", *ALONE)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1] == "  `argosy init FILE` creates one."


def test_a_file_name_cannot_command_the_terminal(run: Run) -> None:
    done = run("config", "check", "\x1b[2J\u202e.toml", *ALONE)
    assert done.returncode == 2
    assert "\\u001b[2J\\u202e.toml: No such file" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_printed_schema_is_a_schema_of_what_is_installed(run: Run) -> None:
    done = run("config", "schema", *ALONE)
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"source": {"use": "urls", "urls": [], "token": {"env": "A"}}})
    assert not validator.is_valid({"source": {"use": "manifest"}})


def test_a_new_configuration_is_printed_or_written_but_never_over_another(run: Run, tmp_path: Path) -> None:
    printed = run("config", "new", *ALONE).stdout
    assert tomllib.loads(printed)["directory"] == "library"
    assert tomllib.loads(run("config", "new", "--all", *ALONE).stdout) == {}
    done = run("config", "new", "new.toml", *ALONE)
    assert done.returncode == 0
    assert (tmp_path / "new.toml").read_text("utf-8") == printed
    (tmp_path / "new.toml").write_text("mine")
    done = run("config", "new", "new.toml", *ALONE)
    assert (done.returncode, (tmp_path / "new.toml").read_text()) == (2, "mine")
    assert "new.toml already exists and was not changed" in done.stderr
    assert run("config", "new", "new.json", *ALONE).returncode == 2
    assert run("config", "new", "missing/new.toml", *ALONE).returncode == 5


def test_plugins_are_listed_whole_when_piped(run: Run) -> None:
    done = run("plugins", *ALONE, COLUMNS="20")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "source        urls      URLs that are given  [kit 2.0]" in lines
    assert "    level  (integer, default 6)  How hard." in lines
    assert "    token  (secret)" in lines
    assert f"    urls   (array, required)  {('The URLs. ' * 12).strip()}" in lines
    assert "\x1b" not in done.stdout


def test_plugins_as_json(run: Run) -> None:
    found = json.loads(run("plugins", "--json", *ALONE).stdout)
    assert [(info["kind"], info["name"]) for info in found] == [
        ("auth", "none"),
        ("cookie_store", "memory"),
        ("output", "files"),
        ("source", "urls"),
        ("transport", "requests"),
    ]
    assert found[3]["distribution"] == "kit"
    assert found[3]["options"]["required"] == ["urls"]


def test_a_broken_plugin_is_exit_code_7_and_can_be_left_out(run: Run, install: Install) -> None:
    install("bad", "import a_library_that_is_not_there", {"broken": "bad"})
    done = run("plugins", *ALONE)
    assert (done.returncode, done.stdout) == (7, "")
    assert "bad 1.0 (entry point 'broken')" in done.stderr
    assert "--no-plugin bad:broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("plugins", *ALONE, ARGOSY_DEBUG="1").stderr
    assert run("plugins", *ALONE, "--no-plugin", "broken").returncode == 0


def test_a_package_adds_commands(run: Run, install: Install) -> None:
    source = "import click\n@click.command()\ndef hello():\n    'Say hello.'\n    print('hello')\nno = 7\n"
    targets = {"hello": "extra:hello", "gone": "extra:gone", "no": "extra:no", "plugins": "extra:hello"}
    install("extra", source, targets, group="argosy.commands")
    assert run("hello").stdout == "hello\n"
    shown = run("--help").stdout
    assert "Say hello." in shown
    assert "List the installed plugins" in shown, "a package cannot replace one of argosy's commands"
    for name, words in (
        ("gone", "cannot be imported: AttributeError"),
        ("no", "is an object of type int, not a click.Command"),
    ):
        done = run(name)
        assert done.returncode == 7
        assert f"The command '{name}' of extra {words}" in done.stderr
        assert "Repair or reinstall extra." in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["plugns"], "There is no command 'plugns'; did you mean \"plugins\"?"),
        (["config", "check"], "Missing argument 'FILE'"),
        (["plugins", "--jsn"], "No such option"),
        (["config", "chek", "x"], "No such command"),
    ],
)
def test_a_wrong_usage_is_exit_code_2(run: Run, args: list[str], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert words in done.stderr
