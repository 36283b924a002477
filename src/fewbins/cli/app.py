# SPDX-License-Identifier: Apache-2.0
"""The program `fewbins`: its verbs, and how it ends: 0 ok, 1 a check failed, 2 usage or unusable input, 130 Ctrl-C."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from fewbins.cli import bench, doctor, evaluate, inspect, quantize, run, verify
from fewbins.cli.common import CHECK_FAILED, INTERRUPTED, USAGE, CheckFailed, say
from fewbins.errors import FewbinsError, FewbinsWarning

# typer carries its own copy of click (or, before 0.16, stands on the package): its base class is found through a class
# that typer exports.
ClickException: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")

app = typer.Typer(
    name="fewbins",
    help="Quantize convolutional networks to few-bin integers and run them, fast and exact, on ordinary CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _verb in (
    ("inspect", inspect.command),
    ("quantize", quantize.command),
    ("evaluate", evaluate.command),
    ("run", run.command),
    ("verify", verify.command),
    ("doctor", doctor.command),
):
    app.command(_name)(_verb)
app.add_typer(bench.app, name="bench")


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        import fewbins

        typer.echo(f"fewbins {fewbins.__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit; every error is one line on stderr."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", FewbinsWarning)
        warnings.showwarning = lambda message, *_: say(f"fewbins: warning: {_one_line(message)}")
        return _run_verb(arguments)


def _run_verb(arguments: Sequence[str] | None) -> int:
    try:
        result = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
        if result == INTERRUPTED:  # newer typer turns Ctrl-C into this result itself
            return _interrupted()
        return result if isinstance(result, int) else 0
    except CheckFailed as error:
        if str(error):
            say(f"fewbins: {error}")
        return CHECK_FAILED
    except FewbinsError as error:
        say(f"fewbins: {_one_line(error)}")
        return USAGE
    except MemoryError:
        say("fewbins: out of memory; use smaller batches or fewer images")
        return USAGE
    except ClickException as error:
        say(f"fewbins: {_one_line(error.format_message())} (see fewbins --help)")
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:  # the reader of stdout went away, as in `fewbins inspect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"fewbins: {_one_line(error.strerror or error)}{f' ({error.filename})' if error.filename else ''}")
        return USAGE


def _interrupted() -> int:
    say("fewbins: interrupted")
    return INTERRUPTED


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
