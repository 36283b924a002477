# SPDX-License-Identifier: Apache-2.0
"""Count the lines of code of the core: no blank lines, comments, docstrings or tests. Information, not a target."""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


def python_lines(text: str) -> int:
    """Count the lines that hold a token that is neither a comment nor a string standing alone (a docstring)."""
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            if any(part.type != tokenize.STRING for part in statement):
                lines.update(line for part in statement for line in range(part.start[0], part.end[0] + 1))
            statement = []
        elif token.type not in NO_CODE:
            statement.append(token)
    return len(lines)


def cpp_lines(text: str) -> int:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def main() -> None:
    sizes: Counter[str] = Counter()
    for path in sorted((ROOT / "src").rglob("*.py")):
        relative = path.relative_to(ROOT / "src")
        sizes[f"src/{'/'.join(relative.parts[:2])}"] += python_lines(path.read_text())
    for suffix in ("cpp", "h", "inc"):
        for path in sorted((ROOT / "engine").rglob(f"*.{suffix}")):
            part = path.relative_to(ROOT).parts[1]
            if part != "tests":
                sizes[f"engine/{part}"] += cpp_lines(path.read_text())
    for name, lines in sorted(sizes.items()):
        print(f"{lines:7,}  {name}")
    print(f"{sum(sizes.values()):7,}  in all")


if __name__ == "__main__":
    main()
