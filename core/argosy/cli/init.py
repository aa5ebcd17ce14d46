"""``argosy init``: asks a few questions, looks at the login page, and writes a short configuration."""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from argosy.cli.options import ask, log_options, notify, plugin_options, redactor
from argosy.errors import ArgosyError, ConfigError, StorageError

if TYPE_CHECKING:
    from argosy.cli.login_page import LoginPage
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager
    from argosy.toolkit.forms import Form

T = TypeVar("T")

_KINDS = ("env", "keyring", "file", "prompt")
_CODE = re.compile(r"otp|totp|mfa|2fa|(?:one|two).?(?:time|factor)|(?:security|verification|auth\w*)[-_]?code", re.I)


@dataclass
class _Answers:
    """What the user said."""

    file: Path
    source: dict[str, Any] = field(default_factory=dict)
    auth: dict[str, Any] = field(default_factory=dict)
    directory: str = "library"
    notes: list[str] = field(default_factory=list)  # comments about the login, for the file

    def document(self) -> dict[str, Any]:
        """Return the configuration."""
        document: dict[str, Any] = {"source": self.source, "directory": self.directory, "max_workers": 4}
        if self.auth:
            document |= {"cookie_store": {"use": "json-file", "path": "cookies.json"}, "auth": self.auth}
        return document

    def text(self) -> str:
        """Return the file."""
        from argosy.cli.config import to_toml

        name = self.file.name
        lines = [f"# To check: argosy config check {name}", f"# To run:   argosy download {name}", ""]
        lines += [f"source = {to_toml(self.source)}", f"directory = {to_toml(self.directory)}"]
        lines += ["max_workers = 4  # the most items to work on at once"]
        if self.auth:
            lines += ["", "# keeps the session for the next run"]
            lines += ['cookie_store = { use = "json-file", path = "cookies.json" }', "", "[auth]"]
            lines += [f"{key} = {to_toml(value)}" for key, value in self.auth.items() if key != "fields"]
            for note in self.notes:
                lines += textwrap.wrap(note, 100, initial_indent="# ", subsequent_indent="# ")
            if "fields" in self.auth:
                lines += [f"fields = {to_toml(self.auth['fields'])}"]
        return "\n".join(lines) + "\n"


@click.command()
@click.argument("config", metavar="[FILE]", type=click.Path(path_type=Path, dir_okay=False), default="argosy.toml")
@click.option("--source", metavar="LIST|URL|NAME", help="A list of URLs, a manifest, URLs, or an installed source.")
@click.option("--login", metavar="URL|none", help="The login page; none for no login.")
@click.option("--user", metavar="NAME", help="The user name.")
@click.option(
    "--password",
    metavar="env[:NAME]|keyring|file:PATH|prompt",
    help="Where the password is kept; the file never contains it.",
)
@click.option("--directory", metavar="DIR", help="The target directory.")
@click.option(
    "--try/--no-try", "tries", default=None, help="Download the first item, to try the configuration, or not."
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option("-y", "--yes", is_flag=True, help="Write FILE without asking.")
@log_options
@plugin_options
def init(config: Path, plugins: PluginManager, **options: Any) -> int:
    """Ask a few questions and write a configuration to FILE, by default argosy.toml.

    This looks at the login page to find the names of its fields; it can also download one item to try the configuration.
    What options answer is not asked. Answers may come from a pipe, one per line.
    """
    try:
        return _Interview(config, plugins, options).run()
    except click.Abort:
        if sys.stdin.isatty():
            click.echo(f"\n{config} was not written.", err=True)
            raise
        message = f"The input ended before all questions were answered; {config} was not written."
        hint = "Answer one per line, or with options: see argosy init --help."
        raise ConfigError(message, hint=hint) from None


class _Interview:
    """Asks the questions of one `argosy init`."""

    def __init__(self, file: Path, plugins: PluginManager, options: Mapping[str, Any]) -> None:
        self._answers = _Answers(file)
        self._base = file.absolute().parent
        self._plugins = plugins
        self._options = options
        self._replaces: bool = options["force"]

    def run(self) -> int:
        """Ask, try, and write; return the exit code."""
        answers, file = self._answers, self._answers.file
        self._check_file()
        answers.source = self._ask("What to download (list of URLs, manifest, or URLs)", "source", self._source)
        login = self._ask("The URL of the login page (empty for no login)", "login", self._login, default="")
        if login is not None:
            self._fields(*login)
        answers.directory = self._ask("The target directory", "directory", self._directory, default="library")
        text = answers.text()
        self._check()
        click.echo(f"\n{text}", err=True)
        code = self._try()
        question = f"Write this to {file}?" if not code else f"The trial failed. Write this to {file} nevertheless?"
        if not (self._options["yes"] and not code) and not self._confirm(question, default=not code):
            click.echo(f"{file} was not written.", err=True)
            return code or 1
        self._write(text)
        click.echo(f"Wrote {file}.", err=True)
        click.echo(f"  Next: {self._before()}argosy download {file}", err=True)
        return 0

    # -- asking

    def _ask(self, text: str, name: str, read: Callable[[str], T], default: str | None = None) -> T:
        """Return what `read` makes of the answer; ask again if it raises a UsageError, unless an option gave it."""
        given: str | None = self._options[name]
        if given is not None:
            return read(given)
        return self._prompt(text, read, default)

    def _prompt(self, text: str, read: Callable[[str], T], default: str | None = None) -> T:
        answer: T = click.prompt(
            text, value_proc=lambda value: read(value.strip()), default=default, show_default=bool(default), err=True
        )
        return answer

    def _confirm(self, text: str, *, default: bool) -> bool:
        return click.confirm(text, default=default, err=True)

    def _check_file(self) -> None:
        """Refuse a file that cannot be written, and ask before overwriting one."""
        file = self._answers.file
        if file.suffix.lower() != ".toml":
            raise ConfigError(f"{file} must end in .toml.")
        if not self._base.is_dir():
            raise ConfigError(f"There is no directory {self._base}.", hint="Create it first.")
        if not file.exists() or self._replaces:
            return
        hint = "Choose another name, or overwrite it with --force."
        if self._options["yes"] or not self._confirm(f"{file} exists. Overwrite it at the end?", default=False):
            raise ConfigError(f"{file} already exists and was not changed.", hint=hint)
        self._replaces = True

    # -- answers

    def _source(self, answer: str) -> dict[str, Any]:
        from argosy.cli.words import sort_words
        from argosy.plugins.kinds import Kind

        if not answer:
            raise click.UsageError("Give a file or a URL.")
        names = [info.name for info in self._plugins.plugins() if info.kind is Kind.SOURCE]
        if answer in names and answer not in ("urls", "manifest"):
            source = self._with_options(answer)
        else:
            given = sort_words([answer] if Path(answer).is_file() else answer.split())
            found = None if given.config else given.source()
            if found is None:
                raise click.UsageError(f"{answer!r} is a configuration. Give a list of URLs, a manifest or URLs.")
            source = self._relative(found)
        self._raise_problems({"source": source})
        if any(not re.search(r"\.\w{1,5}$", urlsplit(url).path) for url in source.get("urls", ())):
            notify("A URL is downloaded as one file. To download what a page lists or links to, write a source plugin:")
            notify("argosy plugin new source NAME")
        return source

    def _with_options(self, name: str) -> dict[str, Any]:
        """Return an installed source with its required options, which are asked for."""
        from argosy.plugins.kinds import Kind

        schema = self._plugins.find(Kind.SOURCE, name).options_schema
        source: dict[str, Any] = {"use": name}
        for key in schema.get("required", ()):
            about = str(schema.get("properties", {}).get(key, {}).get("description", "")).rstrip(".")
            source[key] = self._prompt(f'Its option "{key}"{f" ({about})" if about else ""}', _not_empty)
        return source

    def _relative(self, source: dict[str, Any]) -> dict[str, Any]:
        """Return a source whose file is relative to the configuration, if it is in the same folder or below."""
        for key in source.keys() & {"path", "file"}:
            if source[key] == "-":
                raise click.UsageError("Standard input cannot be read again by the next run. Give a file.")
            if (path := Path(source[key])).is_relative_to(self._base):
                source[key] = str(path.relative_to(self._base))
        return source

    def _raise_problems(self, document: dict[str, Any]) -> None:
        """Raise a UsageError if a part of the configuration is wrong."""
        from argosy.cli.check import trial
        from argosy.config.schema import check

        file = self._base / self._answers.file.name
        found = check(document, self._plugins, "")
        found = [*found, *trial(document, self._plugins, file, redactor().add)]
        if found:
            raise click.UsageError("; ".join(f"{one.found}; {one.expected}" for one in found[:3]))

    def _directory(self, answer: str) -> str:
        if "://" not in answer and Path(answer).expanduser().is_file():
            raise click.UsageError(f"{answer} is a file.")
        self._raise_problems({"directory": _not_empty(answer)})
        return answer

    def _login(self, answer: str) -> tuple[str, LoginPage, Form] | None:
        """Return a login page and its form; None if the user needs no login."""
        from argosy.cli.login_page import look
        from argosy.toolkit.urls import check_url

        if answer.lower() in ("", "none", "no", "n"):
            return None
        if (problem := check_url(answer)) is not None:
            raise click.UsageError(f"The URL of the login page {problem}. Write a whole URL: https://HOST/PATH.")
        try:
            page = look(answer, self._settings({}), self._plugins, redactor().add, ask=ask())
        except ArgosyError as error:
            raise click.UsageError(str(error)) from None
        form = page.form() or next((form for form in page.forms if form.method == "post" and form.fields), None)
        if form is None:
            raise click.UsageError(
                f"The page {page.url.partition('?')[0]} has no form with a password field. If a script makes the form, log in "
                'with the browser, answer "none" here, and use the auth "cookies": see argosy plugins cookies.'
            )
        return answer, page, form

    def _fields(self, url: str, page: LoginPage, form: Form) -> None:
        """Ask for what the form needs."""
        from argosy.cli.login_page import empty_fields, names_of, user_field
        from argosy.models.session import origin_of

        answers, names = self._answers, names_of(form)
        elsewhere = origin_of(page.url) != origin_of(url)
        url = page.url.partition("#")[0] if elsewhere else url
        user, password = user_field(form), next(iter(form.passwords), None)
        click.echo(f"The login form has the fields: {', '.join(names)}.", err=True)
        if user is None:
            user = self._prompt("The field for the user name", _not_empty)
        if not password:
            password = self._prompt("The field for the password, on this page or the next", _not_empty, "password")
        fields: dict[str, Any] = {user: self._ask(f"The user name (field {user})", "user", _not_empty)}
        question = f"Where to keep the password ({', '.join(_KINDS)})"
        fields[password] = self._ask(
            question,
            "password",
            lambda answer: _password(answer, urlsplit(url).hostname or "", fields[user]),
            default="env",
        )
        for name in [name for name in empty_fields(form) if name not in fields and _CODE.search(name)]:
            fields[name] = {"one_time": {"prompt": "One-time code"}}
            answers.notes.append("`argosy login` asks for the one-time code; `argosy download` uses the session.")
        answers.auth = {"use": "form-login", "url": url}
        if form is not page.form(names=fields):
            answers.auth["form"] = form.identifier or form.name or page.forms.index(form)
        action = page.action(form)
        if origin_of(action) != origin_of(url):
            notify(f"The form goes to another host: {origin_of(action)}.")
            if not self._confirm("Is that the service's own login, so that it may get the password?", default=False):
                raise click.UsageError("A login at that host is not allowed.")
            answers.auth["allow_other_origin"] = True
        if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
            notify("This page is not encrypted: everyone between here and the service can read the password.")
        answers.auth["fields"] = fields
        if kept := [name for name in names if name not in fields]:
            answers.notes.append(f"sent as the page has them: {', '.join(kept)}")

    # -- trying and writing

    def _settings(self, changes: Mapping[str, Any]) -> Settings:
        from argosy.config.settings import build

        return build(changes, self._plugins, self._base, None)

    def _check(self) -> None:
        """Raise a ConfigError if the whole configuration is not valid."""
        from argosy.config.schema import check

        problems = check(self._answers.document(), self._plugins, self._answers.file.name)
        if problems:
            raise ConfigError("These answers make no valid configuration.", tuple(problems))

    def _try(self) -> int:
        """Download one item, if the user agrees; return the exit code."""
        from argosy.cli.download import execute_shown, observers_of
        from argosy.engine.run import Run, RunOptions

        wanted: bool | None = self._options["tries"]
        if wanted is None:
            question = f"Download the first item to {self._answers.directory} to try it?"
            wanted = not self._options["yes"] and self._confirm(question, default=True)
        if not wanted:
            return 0
        document = self._answers.document()
        if name := self._unset():
            if ask() is None:
                notify("Not tried: the password is not there yet.")
                return 0
            fields = {**self._answers.auth["fields"], name: {"prompt": "Password (for the trial; it is not written)"}}
            document["auth"] = {**self._answers.auth, "fields": fields}
        if any(isinstance(one, dict) and "one_time" in one for one in self._answers.auth.get("fields", {}).values()):
            notify("Not tried: the login asks for a one-time code. Run `argosy login` after this.")
            return 0
        try:
            settings = self._settings(document)
            given = RunOptions(
                observers=observers_of(self._plugins, settings, None, quiet=False, report=None),
                ask=ask(),
                redactor=redactor(),
                limit=1,
            )
            return execute_shown(Run(settings, self._plugins, given), quiet=False)
        except ArgosyError as error:
            from argosy.cli.program import print_error

            print_error(error)
            return error.exit_code

    def _unset(self) -> str | None:
        """Return the name of the field whose secret cannot be found now."""
        from argosy.toolkit.secrets import resolve

        for name, value in self._answers.auth.get("fields", {}).items():
            if isinstance(value, dict) and "one_time" not in value and "prompt" not in value:
                try:
                    redactor().add(resolve(value, base=self._base).reveal())
                except ConfigError:
                    return str(name)
        return None

    def _before(self) -> str:
        """Return what to do before the first run, as the start of a command."""
        fields = self._answers.auth.get("fields", {})
        for name in filter(None, [self._unset()]):
            value = fields[name]
            if "env" in value:
                return f"export {value['env']}='...' && "
            if "keyring" in value:
                return f"keyring set {value['keyring']} {value['user']} && "
            return f"write the password to {value['file']} and "
        return ""

    def _write(self, text: str) -> None:
        from argosy.toolkit.files import atomic_write

        file = self._answers.file
        try:
            if not self._replaces:
                file.touch(exist_ok=False)  # another program may have made it meanwhile
            with atomic_write(file) as stream:
                stream.write(text)
        except FileExistsError:
            raise ConfigError(f"{file} already exists and was not changed.", hint="Choose another name.") from None
        except OSError as error:
            raise StorageError(f"Cannot write {file}: {error.strerror}.") from None


def _not_empty(answer: str) -> str:
    if not answer.strip():
        raise click.UsageError("It cannot be empty.")
    return answer


def _password(answer: str, host: str, user: str) -> dict[str, str]:
    """Return where a password is kept."""
    kind, _, rest = answer.partition(":")
    kind, rest = kind.strip().lower(), rest.strip()
    if kind == "env":
        label = re.sub(r"\W", "_", host.removeprefix("www.").partition(".")[0], flags=re.A).upper()
        name = rest or (f"{label}_PASSWORD" if label[:1].isalpha() else "ARGOSY_PASSWORD")
        if re.fullmatch(r"[A-Za-z_]\w*", name, re.A):
            return {"env": name}
        raise click.UsageError(f"{kind} takes the name of a variable, such as env:LIBRARY_PASSWORD.")
    if kind == "keyring":
        if importlib.util.find_spec("keyring") is None:
            raise click.UsageError("The keyring library is not installed: pip install 'argosy[keyring]'.")
        return {"keyring": rest or host, "user": user}
    if kind == "file":
        return {"file": rest or "password.txt"}
    if kind == "prompt":
        return {"prompt": rest or f"Password of {user} at {host}"}
    # not repeated: it may be the password
    raise click.UsageError(f"Not the password itself: one of {', '.join(_KINDS)}, such as env:LIBRARY_PASSWORD.")
