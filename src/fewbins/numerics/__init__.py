# SPDX-License-Identifier: Apache-2.0
"""The arithmetic contract in NumPy, exact to the last bit (docs/numerics.md, sections 1 to 5).

Four topics: `affine` (arrays to levels and back), `scales` (ranges to scales, biases, the proofs against overflow),
`multipliers` (the constants that a file stores) and `requantize` (from an accumulator to the next tensor); `tables` has
the 256-entry tables and the bilinear weights. Levels `q` are signed int32 everywhere; `to_memory` makes uint8 of them.
"""

from fewbins.numerics.affine import (
    Affine,
    along,
    dequantize,
    from_memory,
    narrowed_levels,
    quantize,
    to_memory,
)
from fewbins.numerics.requantize import (
    check_shift_spread,
    clamp_float,
    requantize_fixed,
    requantize_float,
    requantize_shift,
    requantize_to_float,
)

__all__ = [
    "Affine",
    "along",
    "check_shift_spread",
    "clamp_float",
    "dequantize",
    "from_memory",
    "narrowed_levels",
    "quantize",
    "requantize_fixed",
    "requantize_float",
    "requantize_shift",
    "requantize_to_float",
    "to_memory",
]
