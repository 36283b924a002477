# SPDX-License-Identifier: Apache-2.0
"""Check that the table of limits in docs/format.md is that of engine/base/limits.inc.

    python tools/limits_table.py [--write]

With --write the table is put there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fewbins import _engine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "format.md"
START, END = "<!-- limits: tools/limits_table.py -->\n", "<!-- end of limits -->\n"


def shown(value: int, unit: str) -> str:
    """64 MiB; 65,536; 2^31 - 1."""
    for power, name in ((30, "GiB"), (20, "MiB")):
        if unit == "bytes" and value >= 1 << power and value % (1 << power) == 0:
            return f"{value >> power} {name}"
    for more, text in ((0, ""), (1, " - 1")):
        exponent = (value + more).bit_length() - 1
        if value + more == 1 << exponent and exponent >= 20:
            return f"2^{exponent}{text}"
    return f"{value:,} {unit}".strip()


def table() -> str:
    rows = [f"| {what} | {shown(value, unit)} |\n" for _name, value, unit, what in _engine.limits()]
    return "| what | at most |\n|---|---|\n" + "".join(rows)


def main() -> str | None:
    text = PAGE.read_text()
    before, rest = text.split(START)
    found, after = rest.split(END)
    if found == table():
        return None
    if sys.argv[1:] != ["--write"]:
        return (
            f"{PAGE.name}: the table of limits is not that of engine/base/limits.inc; run tools/limits_table.py --write"
        )
    PAGE.write_text(before + START + table() + END + after)
    return None


if __name__ == "__main__":
    sys.exit(main())
