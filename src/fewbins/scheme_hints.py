# SPDX-License-Identifier: Apache-2.0
"""What to write instead: the remedies in the errors of scheme strings."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable

from fewbins.errors import SchemeError, warn

BINS = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
WEIGHT_BINS = re.compile(r"w([0-9]{1,9})")

# What other libraries call the same thing -> what to write here.
MEANT = {
    **dict.fromkeys(("int8", "uint8", "qint8", "quint8", "i8", "s8", "u8", "8", "8-bit", "w8a8", "a8w8"), "8bit"),
    **dict.fromkeys(("int4", "uint4", "i4", "s4", "4", "4-bit", "w4a4", "a4w4"), "4bit"),
    **dict.fromkeys(("w4a8", "a8w4"), "256x15"),
    **dict.fromkeys(("float32", "fp32", "f32", "float16", "fp16", "bf16", "bfloat16", "none", "no"), "float"),
}
_BITS_NOT_BINS = (4, 8, 16)  # numbers that people write when they mean bits


def with_commas(text: str) -> str:
    """The text as it would be if semicolons, plus signs and spaces between its parts were commas."""
    return ",".join(part for part in re.split(r"[;,+\s]+", text) if part)


def check_bits(base: str) -> None:
    """Refuse `w8` and warn of `8x8`: here these are bins, in most other tools bits."""
    word, *options = (part.strip() for part in base.split(":"))
    if (match := WEIGHT_BINS.fullmatch(word)) and "asym" not in options:
        bins = int(match[1])
        if bins in _BITS_NOT_BINS:
            wide = {4: "w15 for 4 bits", 8: "w255 for 8 bits", 16: "w255 for 8 bits, the most there are"}[bins]
            raise SchemeError(
                f"scheme '{word}': {bins} is a number of bins, {math.log2(bins):.0f} bits, not of bits; write {wide}, "
                f"w{bins - 1} for these bins without the lowest, or {word}:asym"
            )
    if match := BINS.fullmatch(word):
        bins_a, bins_w = int(match[1]), int(match[2])
        both_bits = bins_a in _BITS_NOT_BINS and bins_w in _BITS_NOT_BINS
        if both_bits and (bins_a, bins_w) != (16, 16):  # which is another spelling of 4bit
            warn(
                f"scheme '{word}' is {bins_a} bins of activations and {bins_w} of weights, {math.log2(bins_a):.0f} "
                f"and {math.log2(bins_w):.0f} bits; for bits write 8bit, 4bit or 256x15"
            )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'a' or 'b'? `, nearest first."""
    lowered: dict[str, str] = {}
    for candidate in known:
        lowered.setdefault(candidate.lower(), candidate)
    quoted: Callable[[str], str] = lambda name: f"'{lowered[name]}'"
    nearest = difflib.get_close_matches(word[:200].lower(), list(lowered), n=3, cutoff=0.5)
    if not nearest:
        return f"known are {', '.join(map(quoted, list(lowered)[:8]))}; " if lowered else ""
    return f"did you mean {' or '.join(map(quoted, nearest))}? "


def short(text: str) -> str:
    """Text for one line of an error."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 80 else one_line[:77] + "..."
