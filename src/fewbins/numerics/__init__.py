# SPDX-License-Identifier: Apache-2.0
"""The arithmetic contract in NumPy, exact to the last bit (docs/numerics.md, sections 1 to 6).

Four topics: `affine` (arrays to levels and back), `scales` (ranges to scales, biases, the proofs against overflow),
`multipliers` (the constants that a file stores) and `requantize` (from an accumulator to the next tensor); `tables` has
the 256-entry tables and the bilinear weights, `winograd` the exact Winograd forms. Levels `q` are signed int32
everywhere; `to_memory` makes uint8 of them.
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
from fewbins.numerics.multipliers import (
    fixed_multiplier,
    fixed_residual_multipliers,
    float_multiplier,
    is_power_of_two,
    mean_multiplier,
    real_multiplier,
    shift_amount,
)
from fewbins.numerics.requantize import (
    check_shift_spread,
    clamp_float,
    requantize_fixed,
    requantize_float,
    requantize_shift,
    requantize_to_float,
)
from fewbins.numerics.scales import (
    affine_from_range,
    asymmetric_scale,
    bias_to_int32,
    flush_subnormals,
    power_of_two,
    prove_int32,
    prove_mean_int32,
    raise_weight_scales,
    symmetric_scale,
    weight_sums,
)
from fewbins.numerics.tables import (
    bilinear_weights,
    build_table,
)
from fewbins.numerics.winograd import (
    WINOGRAD_FORMS,
    WinogradForm,
    division_is_exact,
    growth,
    winograd_conv,
)

__all__ = [
    "WINOGRAD_FORMS",
    "Affine",
    "WinogradForm",
    "affine_from_range",
    "along",
    "asymmetric_scale",
    "bias_to_int32",
    "bilinear_weights",
    "build_table",
    "check_shift_spread",
    "clamp_float",
    "dequantize",
    "division_is_exact",
    "fixed_multiplier",
    "fixed_residual_multipliers",
    "float_multiplier",
    "flush_subnormals",
    "from_memory",
    "growth",
    "is_power_of_two",
    "mean_multiplier",
    "narrowed_levels",
    "power_of_two",
    "prove_int32",
    "prove_mean_int32",
    "quantize",
    "raise_weight_scales",
    "real_multiplier",
    "requantize_fixed",
    "requantize_float",
    "requantize_shift",
    "requantize_to_float",
    "shift_amount",
    "symmetric_scale",
    "to_memory",
    "weight_sums",
    "winograd_conv",
]
