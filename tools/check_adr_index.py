# SPDX-License-Identifier: Apache-2.0
"""Check that docs/adr is numbered without gaps, that each record has its sections, and that its list is complete."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "adr"
SECTIONS = ["## Context", "## Decision", "## Consequences"]


def complaints() -> list[str]:
    found = []
    rows = []
    for number, path in enumerate(sorted(FOLDER.glob("[0-9]*.md")), start=1):
        lines = path.read_text().splitlines()
        if not path.name.startswith(f"{number:04d}-") or not lines[0].startswith(f"# {number}. "):
            found.append(f"{path.name}: file name and title must both carry the number {number}")
        if [line for line in lines if line.startswith("## ")] != SECTIONS:
            found.append(f"{path.name}: the sections must be {', '.join(SECTIONS)}")
        rows.append(f"- [{lines[0][2:]}]({path.name})")
    listed = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("- [")]
    if listed != rows:
        found.append("README.md: the list must be\n" + "\n".join(rows))
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or 0)
