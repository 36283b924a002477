# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on sizes that may be symbols, shared by the shape rules.

A size that a rule cannot express becomes "?": unknown. Symbols of different names are never refused, since they may
turn out equal at run time; whole numbers that differ are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewbins.graph import Dim, Node, Shape
from fewbins.ops.base import fail

UNKNOWN = "?"

CONSTANT_ROLES = (
    "multiplier",
    "multiplier_neg",
    "residual_multiplier",
    "exponent",
    "exponent_neg",
    "shift",
    "residual_shift",
)
"""The params that hold the constants of a requantization."""


def is_unknown(size: Dim) -> bool:
    """Whether the size is a symbol that equals nothing, itself included."""
    return isinstance(size, str) and size.startswith("?")


def same(a: Dim, b: Dim) -> bool:
    """Whether two sizes are known to be equal.

    >>> same("batch", "batch"), same("?", "?"), same(3, "batch"), same(3, 3)
    (True, False, False, True)
    """
    return a == b and not is_unknown(a)


def merged(node: Node, a: Dim, b: Dim, what: str) -> Dim:
    """The one size that two sizes which must be equal stand for; ShapeError when they are different numbers."""
    if isinstance(a, int) and isinstance(b, int) and a != b:
        fail(node, f"{what}: sizes {a} and {b} must be equal")
    if isinstance(a, int) or (is_unknown(b) and not isinstance(b, int)):
        return a
    return b


def broadcast(node: Node, a: Shape, b: Shape) -> Shape:
    """NumPy's broadcasting of two shapes.

    >>> broadcast(Node("Binary", "add", (), (), None), ("batch", 8, 4, 4), (8, 1, 1))
    ('batch', 8, 4, 4)
    """
    rank = max(len(a), len(b))
    wide_a, wide_b = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    result: list[Dim] = []
    for x, y in zip(wide_a, wide_b, strict=True):
        if x == 1 or y == 1:
            result.append(y if x == 1 else x)
        elif isinstance(x, int) and isinstance(y, int):
            if x != y:
                fail(node, f"shapes {show(a)} and {show(b)} do not broadcast: {x} against {y}")
            result.append(x)
        elif isinstance(x, int) or isinstance(y, int):
            result.append(x if isinstance(x, int) else y)
        else:
            result.append(x if same(x, y) else UNKNOWN)
    return tuple(result)


def need_rank(node: Node, shape: Shape, rank: int) -> None:
    """ShapeError unless the shape has this rank."""
    if len(shape) != rank:
        fail(node, f"input shape {show(shape)} must have rank {rank}")


def need_axis(node: Node, shape: Shape, axis: int) -> None:
    """ShapeError unless the shape has this axis."""
    if axis >= len(shape):
        fail(node, f"axis {axis} does not exist in shape {show(shape)}")


def need_residual(node: Node, inputs: Sequence[Shape], output: Shape) -> Shape:
    """The output's shape, after the residual's, if there is one, has been checked against it."""
    if len(inputs) < 2:
        return output
    if len(inputs[1]) != len(output):
        fail(node, f"residual shape {show(inputs[1])} must be the output's {show(output)}")
    return tuple(merged(node, a, b, "residual and output") for a, b in zip(output, inputs[1], strict=True))


def need_channels(node: Node, params: Mapping[str, Shape], role: str, count: Dim, *, one: bool = True) -> None:
    """ShapeError unless param `role`, where there is one, has shape (count,), or (1,) where `one` is allowed."""
    if role not in params:
        return
    shape = params[role]
    if len(shape) != 1 or not (shape[0] == count or isinstance(count, str) or (one and shape[0] == 1)):
        fail(node, f"{role} of shape {show(shape)} must be ({count},)" + (" or (1,)" if one else ""))


def need_constants(node: Node, params: Mapping[str, Shape], count: Dim) -> None:
    """ShapeError unless every constant of a requantization has one value, or one per channel."""
    for role in CONSTANT_ROLES:
        need_channels(node, params, role, count)


def show(shape: Shape) -> str:
    """A shape as text.

    >>> show(("batch", 3, 32, 32)), show((5,))
    ('(batch, 3, 32, 32)', '(5,)')
    """
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
