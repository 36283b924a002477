# SPDX-License-Identifier: Apache-2.0
"""Engines in processes of their own, stopped but for their turns, under a cap on what CPUID shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fewbins.bench.places import tool
from fewbins.errors import DataError

# Behind its own packages, so that an interpreter without fewbins finds it and keeps what is its own.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from {module} import main; main()"


class Worker:
    """A process that runs the `main` of a module, which answers lines of stdin with JSON (see `worker.serve`).

    Args:
        module: such as fewbins.bench.worker.
        arguments: its command line.
        cap: a level of the tool isacap, or "none".
        environment: variables besides those of this process.
        python: the interpreter.

    Raises:
        DataError: a cap without the tool isacap.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        cap: str = "none",
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        root = str(Path(__file__).resolve().parents[2])
        command = [python, "-c", _START.format(module=module), root, *arguments]
        if cap != "none":
            isacap = tool("isacap")
            if isacap is None:
                raise DataError(
                    f"a cap of {cap} needs the tool isacap, which hides CPU features from a process, in the tools "
                    "folder beside FEWBINS_DATA"
                )
            command = [str(isacap), cap, "--", *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def ask(self, line: str) -> Any:
        """The answer to a line; `{"failed": why}` where the process died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline()
            self.process.send_signal(signal.SIGSTOP)
            return json.loads(reply)
        except (OSError, ValueError):
            return {"failed": "the process died"}
