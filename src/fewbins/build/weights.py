# SPDX-License-Identifier: Apache-2.0
"""The integer weights of every layer that has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fewbins.build.plan import Plan
from fewbins.errors import CalibrationError
from fewbins.graph import Graph, Node
from fewbins.numerics import Affine, dequantize, flush_subnormals, raise_weight_scales
from fewbins.passes.fold_scale import channel_rows, output_channels, weight_of_rows
from fewbins.rounding.lut import fit_table, nearest_entry
from fewbins.rounding.nearest import asymmetric_scales, round_rows, symmetric_scales
from fewbins.scheme import LayerScheme

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """Rounded weights of one layer.

    Attributes:
        data: in the layer's own shape: int8 levels, uint8 levels (`u4`) or uint8 indices (`lut4`).
        affine: scales, and the levels of the weights (of the table's entries for `lut4`).
        table: int8 (16,) for `lut4`.
        real: what the integers stand for, float32, in the layer's shape.
        raised: channels whose scale had to be raised for their bias (docs/numerics.md, section 2).
        sqnr_db: signal to quantization noise of the weights, in dB; infinite where nothing was lost.
    """

    data: npt.NDArray[Any]
    affine: Affine
    table: npt.NDArray[np.int8] | None
    real: F32
    raised: int
    sqnr_db: float

    def signed(self) -> npt.NDArray[np.int32]:
        """`q_w - z_w`: what an accumulator adds up."""
        if self.table is not None:
            return np.asarray(self.table[self.data], np.int32)
        return np.asarray(self.data.astype(np.int32) - np.int32(self.affine.zero_point))


def layer_bias(graph: Graph, node: Node) -> npt.NDArray[np.float64]:
    """The real bias of a layer, zeros where it has none."""
    if "bias" in node.params:
        return graph.constant(node, "bias").astype(np.float64)
    return np.zeros(output_channels(node, graph.constant(node, "weight").shape))


def round_weights(plan: Plan, node: Node, scale_a: float | None, scale_y: float | None, observer: str) -> LayerWeights:
    """Round the weights of one layer to what its scheme allows.

    Args:
        plan: the decisions about the graph.
        node: a node with weights whose scheme is not "float".
        scale_a: scale of its input; None in float32 arithmetic ("w" schemes).
        scale_y: scale of its output; None where that is float32.
        observer: see `rounding.nearest`.

    Raises:
        CalibrationError: a weight or a bias is not finite.
    """
    layer = plan.layers[node.name]
    weight = flush_subnormals(plan.graph.constant(node, "weight"))
    for what, values in (("weight", weight), ("bias", layer_bias(plan.graph, node))):
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            raise CalibrationError(
                f"layer '{node.name}': a {what} is {bad}; repair the network, or make the layer float"
            )
    rows = np.ascontiguousarray(channel_rows(node, weight))
    scale, zero_point, table = _scales(rows, layer, observer)
    raised = np.zeros(1, bool)
    if scale_a is not None:
        scale, raised = raise_weight_scales(scale, layer_bias(plan.graph, node), scale_a, scale_y, po2=layer.po2)
    scale = np.where(scale == 0, np.float32(1), scale).astype(np.float32)
    assert layer.weight is not None  # every kind but "float" has levels
    affine = Affine(scale, zero_point, layer.weight, axis=0 if scale.ndim else None)
    if table is not None:
        data: npt.NDArray[Any] = nearest_entry(rows, scale, table)
        real_rows = table[data].astype(np.float32) * (scale[:, None] if scale.ndim else scale)
    else:
        data = round_rows(rows, scale, layer.weight, zero_point)
        real_rows = dequantize(data, affine)
        data = data.astype(np.uint8) if layer.kind == "u4" else data
    shaped = np.ascontiguousarray(weight_of_rows(node, data, weight.shape))
    real = np.ascontiguousarray(weight_of_rows(node, real_rows, weight.shape), np.float32)
    return LayerWeights(shaped, affine, table, real, int(np.count_nonzero(raised)), sqnr_db(weight, real))


def _scales(rows: F32, layer: LayerScheme, observer: str) -> tuple[F32, int, npt.NDArray[np.int8] | None]:
    per_channel = layer.granularity == "channel"
    if layer.kind == "lut4":
        table, scale = fit_table(rows, per_channel=per_channel, po2=layer.po2)
        return scale, 0, table
    assert layer.weight is not None
    if layer.asym or layer.kind == "u4":
        scale, zero_point = asymmetric_scales(
            rows, layer.weight, per_channel=per_channel, observer=observer, po2=layer.po2
        )
        return scale, zero_point, None
    scale = symmetric_scales(rows, layer.weight, per_channel=per_channel, observer=observer, po2=layer.po2)
    return scale, 0, None


def sqnr_db(signal: npt.NDArray[np.float32], quantized: npt.NDArray[np.float32]) -> float:
    """Signal to noise in dB: 10 log10 of the sum of squares of the signal over that of the difference.

    >>> round(sqnr_db(np.float32([3.0, 4.0]), np.float32([3.0, 4.5])), 3)
    20.0
    """
    noise = float(np.sum(np.square(signal.astype(np.float64) - quantized)))
    power = float(np.sum(np.square(signal.astype(np.float64))))
    if noise == 0.0:
        return math.inf
    return 10 * math.log10(power / noise) if power > 0 else -math.inf
