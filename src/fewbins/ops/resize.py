# SPDX-License-Identifier: Apache-2.0
"""Resize: nearest or bilinear, over height and width.

Two columns of levels, z = 0, become four, half_pixel: coordinates -1/4, 1/4, 3/4, 5/4, clamped 0, 1/4, 3/4, 1. With
weights of 2048ths: 8 * 2048, 8 * 1536 + 0 * 512, 8 * 512 + 0 * 1536, 0; the one row has weight 2048. m = 2**-22 gives
8, 6, 2, 0.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> affine = Affine(1.0, 0, Levels.of(255))
>>> evaluate("Resize", ResizeAttrs("linear", sizes=(1, 4), requantize=Requantize("shift", -127, 127)), [[[[[8, 0]]]]],
...          affines=[affine], output=affine, params={"shift": np.int32([22])}).tolist()
[[[[8, 6, 2, 0]]]]
>>> evaluate("Resize", ResizeAttrs("nearest", scales=(1.0, 1.5), coordinates="asymmetric", nearest="floor"),
...          [[[[[1.0, 2.0, 3.0]]]]]).tolist()                         # 0, 2/3, 4/3, 2
[[[[1.0, 1.0, 2.0, 3.0]]]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.numerics import bilinear_weights
from fewbins.ops.base import Array, Requantize, attributes, check_choice, fail, register, since
from fewbins.ops.operands import centred, finish_levels
from fewbins.ops.shapes import CONSTANT_ROLES, UNKNOWN, need_constants, need_rank, show

MODES = ("nearest", "linear")
COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
    "tf_half_pixel_for_nn",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
PLACES = ("float32", "float64")
TIE = 1e-6
"""Under places "float32", a place this near to the middle between two elements is in the middle."""


@attributes("Resize")
@dataclass(frozen=True)
class ResizeAttrs:
    """Attributes of Resize: input (x), rank 4; height and width change.

    Attributes:
        mode: "nearest" | "linear".
        sizes: the output's height and width, or None.
        scales: output over input for height and width, or None; exactly one of sizes and scales is given.
        coordinates: how an output index becomes a place in the input; one of `COORDINATES`.
        nearest: how that place becomes an index in mode "nearest"; one of `NEAREST`.
        places: the arithmetic of that place: "float32", as ONNX Runtime has it, or "float64".
        requantize: mode "linear" on levels only.
    """

    mode: str
    sizes: tuple[int, int] | None = None
    scales: tuple[float, float] | None = None
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    requantize: Requantize | None = None
    places: str = since(1, before="float64", default="float32")

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Resize mode", self.mode, MODES)
        check_choice("Resize coordinates", self.coordinates, COORDINATES)
        check_choice("Resize nearest", self.nearest, NEAREST)
        check_choice("Resize places", self.places, PLACES)
        if (self.sizes is None) == (self.scales is None):
            raise GraphError(f"Resize: exactly one of sizes ({self.sizes}) and scales ({self.scales}) must be given")
        if self.sizes is not None and min(self.sizes) < 1:
            raise GraphError(f"Resize: sizes {self.sizes} must be >= 1")
        if self.scales is not None and not min(self.scales) > 0:
            raise GraphError(f"Resize: scales {self.scales} must be positive")
        if self.requantize is not None and self.mode != "linear":
            raise GraphError("Resize: mode 'nearest' moves levels and takes no requantization")


def output_size(attrs: ResizeAttrs, axis: int, size: int) -> int:
    """The given size, or `floor(f32(size) * f32(scale))` in float32, as ONNX's shape inference computes it."""
    if attrs.sizes is not None:
        return attrs.sizes[axis]
    assert attrs.scales is not None
    return int(np.floor(np.float32(size) * np.float32(attrs.scales[axis])))


def infer_resize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, H, W) gives (N, C, OH, OW); a symbol stays under scale 1, else it becomes unknown."""
    x, attrs = inputs[0], node.attrs
    need_rank(node, x, 4)
    result: list[Dim] = list(x[:2])
    for axis, size in enumerate(x[2:]):
        if isinstance(size, int):
            out = output_size(attrs, axis, size)
            if out < 1:
                fail(node, f"scales {attrs.scales} leave nothing of {show(x)}")
            result.append(out)
        elif attrs.sizes is not None:
            result.append(attrs.sizes[axis])
        else:
            result.append(size if attrs.scales[axis] == 1 else UNKNOWN)
    need_constants(node, params, x[1])
    return [tuple(result)]


def source_coordinates(attrs: ResizeAttrs, axis: int, sizes: Sequence[int], outs: Sequence[int]) -> Array:
    """Where each output index of an axis lies in the input, as float64; the rules are in docs/numerics.md, section 5.

    Args:
        attrs: the operator's attributes.
        axis: 0 for height, 1 for width.
        sizes: height and width of the input.
        outs: height and width of the output.

    Source: ONNX, operator Resize-19, attribute coordinate_transformation_mode; for "float32" ONNX Runtime 1.31, whose
    results the test of this file compares.

    >>> source_coordinates(ResizeAttrs("linear", sizes=(4, 4)), 0, (2, 2), (4, 4)).tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    if attrs.places == "float32":
        return _float32_places(attrs, axis, sizes, outs).astype(np.float64)
    size, out = sizes[axis], outs[axis]
    scale = out / size if attrs.scales is None else float(attrs.scales[axis])
    i = np.arange(out, dtype=np.float64)
    if out == size and scale == 1.0:
        return i
    mode = attrs.coordinates
    if mode == "align_corners":
        return i * (size - 1) / (out - 1) if out > 1 else np.zeros(1)
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros(1)
    offset = (size / 2) * (1 - out / (scale * size)) if mode == "half_pixel_symmetric" else 0.0
    return offset + (i + 0.5) / scale - 0.5


def _float32_places(attrs: ResizeAttrs, axis: int, sizes: Sequence[int], outs: Sequence[int]) -> Array:
    size, out = np.float32(sizes[axis]), np.float32(outs[axis])
    scale = out / size if attrs.scales is None else np.float32(attrs.scales[axis])
    i, half = np.arange(outs[axis], dtype=np.float32), np.float32(0.5)
    if scale == 1 or tuple(sizes) == tuple(outs):
        return i
    mode = attrs.coordinates
    if mode == "align_corners":
        return i * (size - np.float32(1)) / (out - np.float32(1)) if out > 1 else np.zeros(1, np.float32)
    if mode == "asymmetric":
        return np.asarray(i / scale)
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros(1, np.float32)
    if mode == "half_pixel_symmetric":
        offset = (size / np.float32(2)) * (np.float32(1) - out / (scale * size))
        return np.asarray(float(offset) + (i.astype(np.float64) + 0.5) / float(scale) - 0.5, np.float32)
    place = (i + half) / scale
    return np.asarray(place if mode == "tf_half_pixel_for_nn" else place - half)


def nearest_index(attrs: ResizeAttrs, coordinates: Array, size: int) -> Array:
    """The input index for each coordinate x, clamped to 0..size-1.

    round_prefer_floor: ceil(x - 0.5); round_prefer_ceil: floor(x + 0.5); floor; ceil. Under places "float32" the first
    two take any x within `TIE` of the middle between two elements for the middle.

    >>> x = np.array([-0.25, 0.5, 1.5, 1.75])
    >>> [nearest_index(ResizeAttrs("nearest", (4, 4), nearest=mode), x, 3).tolist() for mode in NEAREST]
    [[0, 0, 1, 2], [0, 1, 2, 2], [0, 0, 1, 1], [0, 1, 2, 2]]
    """
    if attrs.places == "float32":
        below = np.floor(coordinates)
        coordinates = np.where(np.abs(coordinates - below - 0.5) < TIE, below + 0.5, coordinates)
    rounded = {
        "round_prefer_floor": np.ceil(coordinates - 0.5),
        "round_prefer_ceil": np.floor(coordinates + 0.5),
        "floor": np.floor(coordinates),
        "ceil": np.ceil(coordinates),
    }[attrs.nearest]
    return np.asarray(np.clip(rounded, 0, size - 1).astype(np.int64))


@register("Resize", infer_resize, params=CONSTANT_ROLES)
def resize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Nearest moves elements, floats or levels. Linear mixes four, at rows i0, i1 and columns j0, j1.

    Each coordinate is clamped to 0..size-1; i0 = floor, i1 = min(i0 + 1, size - 1), f = coordinate - i0.
    Quantized: `w1 = rint(f * 2048)`, `w0 = 2048 - w1`, `acc` = the sum of `w_row * w_column * (q - z)`, exact in
    int32, then section 4 with m = 2^-22 * s / s_y among the params. In float: in float64, columns first:
    `t(row) = (1 - g) * x[row, j0] + g * x[row, j1]`, `y = f32((1 - f) * t(i0) + f * t(i1))`.
    """
    x, attrs = inputs[0], node.attrs
    shape = infer_resize(node, [x.shape], {})[0]
    outs = [int(size) for size in shape[2:]]
    places = [source_coordinates(attrs, axis, x.shape[2:], outs) for axis in (0, 1)]
    if attrs.mode == "nearest":
        rows, columns = (nearest_index(attrs, place, x.shape[2 + axis]) for axis, place in enumerate(places))
        return [np.ascontiguousarray(x[:, :, rows[:, None], columns])]
    i0, i1, v0, v1 = bilinear_weights(places[0], x.shape[2])
    j0, j1, w0, w1 = bilinear_weights(places[1], x.shape[3])
    if attrs.requantize is None:
        values = x.astype(np.float64)
        f, g = (np.clip(place, 0.0, size - 1) % 1.0 for place, size in zip(places, x.shape[2:], strict=True))
        mixed = (1.0 - g) * values[..., j0] + g * values[..., j1]
        return [((1.0 - f)[:, None] * mixed[:, :, i0] + f[:, None] * mixed[:, :, i1]).astype(np.float32)]
    steps = centred(graph, node.inputs[0], x)
    columns_mixed = w0 * steps[..., j0] + w1 * steps[..., j1]
    acc = v0[:, None] * columns_mixed[:, :, i0] + v1[:, None] * columns_mixed[:, :, i1]
    return [finish_levels(node, graph, acc)]
