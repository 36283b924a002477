# SPDX-License-Identifier: Apache-2.0
"""The console script `fewbins-run`: starts the C++ program of that name that the wheel carries."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def program() -> Path | None:
    """Return where the C++ program `fewbins-run` lies, or None where the package was not built.

    It lies beside the extension module, which in an editable install is not beside this file.
    """
    engine = importlib.util.find_spec("fewbins._engine")
    if engine is None or engine.origin is None:
        return None
    path = Path(engine.origin).with_name("bin") / "fewbins-run"
    return path if path.is_file() else None


def main() -> None:
    """Replace this process by the program, so that signals, streams and the exit code are the program's own."""
    path = program()
    if path is None:
        sys.exit(
            "fewbins-run: the program is not beside fewbins._engine; reinstall fewbins, or `make build` in a checkout"
        )
    os.execv(path, [str(path), *sys.argv[1:]])
