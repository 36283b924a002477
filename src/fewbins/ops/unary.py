# SPDX-License-Identifier: Apache-2.0
"""Unary: a function of one float tensor, element by element.

hard_swish(-1) = -1 * (-1/6 + 1/2) = -1/3, hard_swish(3) = 3 * 1, hard_swish(-4) = -4 * 0.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Unary", UnaryAttrs("hard_swish"), [[-4.0, -1.0, 3.0]]).tolist() == [0.0, float(np.float32(-1 / 3)), 3.0]
True
>>> evaluate("Unary", UnaryAttrs("leaky_relu", alpha=0.25), [[-4.0, 8.0]]).tolist()
[-1.0, 8.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import clamp_float
from fewbins.ops.base import Array, attributes, check_choice, register

FUNCTIONS = (
    "relu", "leaky_relu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "gelu", "gelu_tanh", "exp", "sqrt",
    "erf", "abs", "neg", "log", "softplus", "elu", "reciprocal", "floor", "ceil", "pow", "clip",
    "mish",
)  # fmt: skip


@attributes("Unary")
@dataclass(frozen=True)
class UnaryAttrs:
    """Attributes of Unary: input (x), float32; the output likewise.

    Attributes:
        function: one of `FUNCTIONS`.
        alpha: leaky_relu's slope, hard_sigmoid's and elu's alpha, pow's exponent.
        beta: hard_sigmoid's beta.
        lo: clip's lower end, None for none.
        hi: clip's upper end, None for none.
    """

    function: str
    alpha: float = 0.0
    beta: float = 0.0
    lo: float | None = None
    hi: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Unary function", self.function, FUNCTIONS)


def infer_unary(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape; the output has the same."""
    return [inputs[0]]


_erf = np.frompyfunc(math.erf, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def erf(x: Array) -> Array:
    """The error function of float64 values."""
    return np.asarray(_erf(x), dtype=np.float64)


def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))` in float64, without overflow for large negative `x`."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def mish(x: Array) -> Array:
    """`x * tanh(softplus(x))` in float64: `tanh(log(1 + e))` is `e * (e + 2) / (e * (e + 2) + 2)`.

    >>> mish(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    """
    small = np.exp(-np.abs(x))
    above, below = 1.0 + 2.0 * small, small * (small + 2.0)
    gate = np.where(x < 0, below / (below + 2.0), above / (above + 2.0 * small * small))
    return np.asarray(x * gate)


# In float64; an argument x of type float64 and the attributes.
_DOUBLE: dict[str, Callable[[Array, UnaryAttrs], Array]] = {
    "leaky_relu": lambda x, a: np.where(x < 0, x * a.alpha, x),
    "sigmoid": lambda x, a: sigmoid(x),
    "tanh": lambda x, a: np.tanh(x),
    "hard_sigmoid": lambda x, a: np.clip(a.alpha * x + a.beta, 0.0, 1.0),
    "hard_swish": lambda x, a: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "silu": lambda x, a: x * sigmoid(x),
    # 1 + erf(v) and 1 + tanh(v) without the cancellation that leaves nothing of them where v is very negative.
    "gelu": lambda x, a: 0.5 * x * np.asarray(_erfc(x / -math.sqrt(2.0)), dtype=np.float64),
    "gelu_tanh": lambda x, a: x * sigmoid(math.sqrt(8.0 / math.pi) * (x + 0.044715 * x * x * x)),
    "exp": lambda x, a: np.exp(x),
    "sqrt": lambda x, a: np.sqrt(x),
    "erf": lambda x, a: erf(x),
    "abs": lambda x, a: np.abs(x),
    "neg": lambda x, a: -x,
    "log": lambda x, a: np.log(x),
    "softplus": lambda x, a: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))),
    "elu": lambda x, a: np.where(x < 0, a.alpha * np.expm1(np.minimum(x, 0.0)), x),
    "reciprocal": lambda x, a: 1.0 / x,
    "floor": lambda x, a: np.floor(x),
    "ceil": lambda x, a: np.ceil(x),
    "pow": lambda x, a: np.power(x, a.alpha),
    "mish": lambda x, a: mish(x),
}


def double_function(attrs: UnaryAttrs) -> Callable[[Array], Array]:
    """The function from float64 to float64, as the builder of 256-entry tables needs it.

    >>> double_function(UnaryAttrs("clip", lo=-1.0))(np.array([-2.0, 0.5])).tolist()
    [-1.0, 0.5]
    """
    if attrs.function in ("relu", "clip"):
        lo, hi = (0.0, None) if attrs.function == "relu" else (attrs.lo, attrs.hi)
        return lambda x: np.minimum(np.maximum(x, -np.inf if lo is None else lo), np.inf if hi is None else hi)
    function = _DOUBLE[attrs.function]
    return lambda x: function(x, attrs)


@register("Unary", infer_unary)
def unary(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = f32(f(f64(x)))`: the function in float64, rounded once; relu and clip as `numerics.clamp_float`.

    | function | f(x) |
    |---|---|
    | leaky_relu | x < 0 ? alpha * x : x |
    | sigmoid | 1 / (1 + exp(-x)) |
    | hard_sigmoid | min(max(alpha * x + beta, 0), 1) |
    | hard_swish | x * min(max(x / 6 + 0.5, 0), 1) |
    | silu | x * sigmoid(x) |
    | gelu | 0.5 * x * (1 + erf(x / sqrt(2))), as 0.5 * x * erfc(-x / sqrt(2)) |
    | gelu_tanh | 0.5 * x * (1 + tanh(v)), v = sqrt(2 / pi) * (x + 0.044715 * x^3), as x * sigmoid(2 * v) |
    | softplus | max(x, 0) + log1p(exp(-abs(x))) |
    | elu | x < 0 ? alpha * (exp(x) - 1) : x |
    | pow | x^alpha |
    | mish | x * tanh(softplus(x)), as x * (n / (n + 2)), n = e^x * (e^x + 2), both divided by e^2x where x >= 0 |
    | tanh, exp, sqrt, erf, abs, neg, log, reciprocal, floor, ceil | the function of that name |

    The engine may differ from this by 2 ulp (docs/numerics.md, section 5).
    """
    attrs: UnaryAttrs = node.attrs
    if attrs.function == "relu":
        return [clamp_float(inputs[0], (0.0, None))]
    if attrs.function == "clip":
        return [clamp_float(inputs[0], (attrs.lo, attrs.hi))]
    with np.errstate(all="ignore"):
        return [double_function(attrs)(inputs[0].astype(np.float64)).astype(np.float32)]
