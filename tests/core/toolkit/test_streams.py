"""The streams of a command, through which no secret leaves."""

from __future__ import annotations

import json
import logging
import sys

import click
import pytest

from argosy.cli.options import redactor
from argosy.toolkit.redaction import Redactor, redacted_streams


def test_what_is_written_is_scrubbed(capsys: pytest.CaptureFixture[str]) -> None:
    redactor = Redactor()
    redactor.add("difference engine")
    with redacted_streams(redactor):
        print("one difference engine")
        print(json.dumps({"a": "difference engine"}), file=sys.stderr)
        sys.stdout.writelines(["x ", "difference engine", "\n"])
        click.echo("echo difference engine")
    out, err = capsys.readouterr()
    assert out == "one ***\nx ***\necho ***\n"
    assert err == '{"a": "***"}\n'


def test_logs_come_by_here(capsys: pytest.CaptureFixture[str]) -> None:
    redactor = Redactor()
    redactor.add("difference engine")
    with redacted_streams(redactor):
        handler = logging.StreamHandler()
        handler.emit(logging.makeLogRecord({"msg": "logged difference engine"}))
    assert capsys.readouterr().err == "logged ***\n"


def test_a_url_is_scrubbed_before_any_secret_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with redacted_streams(Redactor()):
        print("no URL")
        print("https://ada:pw@library.example/")
    assert capsys.readouterr().out == "no URL\nhttps://***@library.example/\n"


def test_the_streams_are_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with redacted_streams(Redactor()):
        assert sys.stdout.isatty() is before[0].isatty()
        assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")


def test_a_command_has_the_redactor_of_its_streams() -> None:
    its = Redactor()
    with click.Context(click.Command("x"), obj=its):
        assert redactor() is its
    assert redactor() is not redactor()


def test_nothing_that_is_printed_steers_the_terminal_but_a_display(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with redacted_streams(Redactor()):
        print("\x1b]52;c;cm0=\x07\u202e")
        print("\x1b[31mred\x1b[0m")
    assert capsys.readouterr().out == "\\u001b]52;c;cm0=\\u0007\\u202e\n\x1b[31mred\x1b[0m\n"
