"""The entry point: runs a command and turns every way to end into an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from argosy._version import __version__
from argosy.cli.commands import ClosedPipe, LazyGroup
from argosy.cli.snippets import as_written, remember
from argosy.errors import ArgosyError, StorageError
from argosy.toolkit.redaction import Redactor, redacted_streams
from argosy.toolkit.text import escape_controls

#: A bug in argosy (EX_SOFTWARE of sysexits.h).
EXIT_BUG = 70
#: What a shell reports for a program that SIGPIPE ended.
EXIT_PIPE = 141
EXIT_INTERRUPTED = 130


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Download many things, in parallel, from services that replace your session token while you work."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with arguments, by default those of the process; return the exit code.

    It is that of the `ArgosyError`, 2 for a usage error, 130 for an interrupt, 141 for a closed pipe, or 70 for a bug.
    """
    # imports and downloads make many objects and hardly any cycles, so the collector's usual threshold (700) costs more
    # time than it frees memory: a twentieth of a start
    gc.set_threshold(20_000)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a title with characters that the terminal's encoding lacks is not an error
            stream.reconfigure(errors="backslashreplace")
    remember(sys.argv[1:] if argv is None else argv)
    redactor = Redactor()
    with redacted_streams(redactor):
        try:
            return _run(argv, redactor)
        except OSError:  # standard error fails, too
            return StorageError.exit_code
        finally:
            if "argosy.cli.logs" in sys.modules:
                sys.modules["argosy.cli.logs"].stop()
            _silence_failing_streams()


def _silence_failing_streams() -> None:
    """Drop what cannot be written: the interpreter flushes again when it exits, and a failure there replaces the exit code."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: Sequence[str] | None, redactor: Redactor) -> int:
    try:
        code = cli.main(args=argv, prog_name="argosy", standalone_mode=False, obj=redactor)
        sys.stdout.flush()
    except ArgosyError as error:
        _debug()
        print_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("argosy: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ClosedPipe, BrokenPipeError):
        return EXIT_PIPE
    except OSError as error:  # for example, an unreadable file of the installation
        _debug()
        _print_system(error)
        return StorageError.exit_code
    except Exception as error:
        _debug()
        _print_bug(error)
        return EXIT_BUG
    return code if isinstance(code, int) else 0


def print_error(error: ArgosyError) -> None:
    """Print what happened, one line per problem, and what to do."""
    lines = [f"argosy: error: {error.message}"]
    lines += [f"  {as_written(str(problem))}" for problem in error.problems]
    if error.hint:
        lines.append(f"  {as_written(error.hint)}")
    print(escape_controls("\n".join(lines)), file=sys.stderr)  # messages contain text of files and servers


def _debug() -> None:
    if os.environ.get("ARGOSY_DEBUG") == "1":
        traceback.print_exc()


def _print_system(error: OSError) -> None:
    from argosy.toolkit.failures import hint_of  # imports requests

    where = f" ({error.filename})" if error.filename is not None else ""
    print_error(
        StorageError(
            f"System error: {error.strerror or type(error).__name__}{where}. All finished work is saved.",
            hint=hint_of(error, "Check the disk and the permissions, then run the command again."),
        )
    )


def _print_bug(error: Exception) -> None:
    # not the message, which may contain secrets
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    print(
        f"argosy: error: unexpected {type(error).__name__} in {where} (argosy {__version__}). This is a bug in argosy; "
        "please report it with the traceback that ARGOSY_DEBUG=1 shows.",
        file=sys.stderr,
    )
