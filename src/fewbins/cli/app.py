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
from fewbins.cli.common import CHECK_FAILED, INTERRUPTED, USAGE, CheckFailed, say, show_help_without_verb
from fewbins.errors import FewbinsError, FewbinsWarning

# typer carries its own copy of click (or, before 0.16, stands on the package): its base class is found through a class
# that typer exports.
ClickException: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")

app = typer.Typer(
    name="fewbins",
    help="Quantize convolutional networks to few-bin integers and run them, fast and exact, on ordinary CPUs.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# With each verb what it does in 40 characters, which is what a list of verbs has room for in 60 columns.
for _name, _verb, _what in (
    ("inspect", inspect.command, "Show what is in a model, layer by layer."),
    ("quantize", quantize.command, "Make a model file from an ONNX file."),
    ("evaluate", evaluate.command, "Measure accuracy on labelled data."),
    ("run", run.command, "Run a model on an array or on images."),
    ("verify", verify.command, "Check the engine against the oracle."),
    ("doctor", doctor.command, "Show this CPU and test its kernels."),
):
    app.command(_name, short_help=_what)(_verb)
app.add_typer(bench.app, name="bench", short_help="Time fewbins beside other libraries.")


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print version and commit, and exit.", is_eager=True),
) -> None:
    if version:
        import fewbins
        from fewbins import _engine

        typer.echo(f"fewbins {fewbins.__version__} (commit {_engine.cpu_info()['commit']})")
        raise typer.Exit
    show_help_without_verb(context)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit; every error is one line on stderr."""
    for name in ("stdout", "stderr"):  # None where the caller closed it, as in `fewbins inspect ... >&-`
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", FewbinsWarning)
        warnings.showwarning = lambda message, *_: say(f"fewbins: warning: {_one_line(message)}")
        return _run_verb(arguments)


def _run_verb(arguments: Sequence[str] | None) -> int:
    try:
        result = app(args=None if arguments is None else list(arguments), prog_name="fewbins", standalone_mode=False)
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
    # The reader of stdout went away, as in `fewbins inspect ... | head`; out of a verb, click makes SystemExit of it.
    except (BrokenPipeError, SystemExit):
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
