# SPDX-License-Identifier: Apache-2.0
"""What the README tells people to run, for those who check it: tests/test_readme.py and tools/check_installed.py."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of the block "On the command line", without what stands beside them."""
    (block,) = re.findall(r"## On the command line\n```\n(.*?)```", README, re.DOTALL)
    # "fewbins VERB   ARGUMENTS      what it does": three spaces end the arguments
    parts = [re.match(r"(fewbins +[a-z]+) *(.*)", line) for line in block.splitlines()]
    return [f"{part[1]} {re.split(' {3,}', part[2])[0]}" for part in parts if part]


def python_code() -> str:
    """The block of Python; it wants `images` and `batch`, and a file resnet18.onnx."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return str(code)
