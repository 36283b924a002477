# SPDX-License-Identifier: Apache-2.0
"""One walk over a sample of images, node by node, float and quantized side by side.

What is quantized is simulated: the float engine computes with values and weights that are already rounded, and results
are rounded to their levels. This differs from the integers by float32's rounding only, and measures two things while it
walks: the bias that each layer needs (see `rounding.bias_correction`; layers are repaired in order, so that each sees
the repaired ones before it), and the noise that quantization leaves behind each layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fewbins.build.plan import Plan
from fewbins.build.weights import LayerWeights, layer_bias
from fewbins.calibrate.batch import can_join, has_batch, is_free, joined
from fewbins.calibrate.collect import Progress, Statistics
from fewbins.calibrate.images import Sample
from fewbins.calibrate.runner import MakeRunner, Runner
from fewbins.graph import Graph, Node, Tensor
from fewbins.numerics import Affine
from fewbins.numerics.scales import BIAS_LIMIT
from fewbins.ops import UnaryAttrs
from fewbins.ops.unary import double_function
from fewbins.passes.fold_scale import channel_axis
from fewbins.passes.fuse_activation import WEIGHTED
from fewbins.rounding import bias_correction

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

WORK_BYTES = 1 << 30
"""About how much memory the walk may take; it decides how many images of the sample take part."""

CHUNK_BYTES = 48 << 20
SAMPLED_VALUES = 1 << 21
"""How many values of a layer's output a correction is computed from."""


@dataclass(frozen=True)
class LayerOutcome:
    """What the walk found about one node with weights.

    Attributes:
        bias: the real bias to use, corrected if it was to be.
        sqnr_db: signal to quantization noise of its output on the sample, in dB.
        corrected: how many channels got another bias.
        is_zero: whether the float output is 0 everywhere on the sample, where decibels say nothing.
    """

    bias: F64
    sqnr_db: float
    corrected: int
    is_zero: bool = False


@dataclass
class _Value:
    """One tensor over all chunks of the sample."""

    real: list[F32]
    # uint8 with `affine`, float32 without; the very list `real` where nothing is rounded.
    rounded: list[npt.NDArray[Any]]
    affine: Affine | None = None

    def quantized(self, chunk: int) -> F32:
        data = self.rounded[chunk]
        if self.affine is None:
            return data
        steps = data.astype(np.float32)
        steps -= np.float32(self.affine.zero_point - self.affine.levels.lo)
        steps *= self.affine.scale
        return steps


def walk(
    plan: Plan,
    affines: Mapping[str, Affine],
    adapters: Mapping[str, Affine],
    weights: Mapping[str, LayerWeights],
    statistics: Statistics,
    make_runner: MakeRunner,
    *,
    correct: bool,
    progress: Progress | None = None,
) -> tuple[dict[str, LayerOutcome], int]:
    """Measure every layer, and repair its bias.

    Args:
        plan: decisions about the float graph.
        affines: of every tensor with levels.
        adapters: node -> what its adapter requantizes to.
        weights: of every layer that is not "float".
        statistics: shapes and the sample.
        make_runner: how to run float graphs.
        correct: repair biases; otherwise only measure.
        progress: called after each layer.

    Returns:
        The outcome for every node with weights, and how many samples took part.
    """
    chunks = _chunks(plan.graph, statistics)
    values = {
        name: _stored([chunk[slot] for chunk in chunks], None, affines.get(name))
        for slot, name in enumerate(plan.graph.inputs)
    }
    last_use = {name: index for index, node in enumerate(plan.graph.nodes) for name in node.inputs}
    outcomes: dict[str, LayerOutcome] = {}
    layers = sum(node.op in WEIGHTED for node in plan.graph.nodes)
    for index, node in enumerate(plan.graph.nodes):
        step = _Step(plan, node, values, affines, adapters, make_runner)
        if node.op in WEIGHTED:
            outcomes[node.name] = step.weighted(weights.get(node.name), correct)
            if progress is not None:
                progress(len(outcomes), layers, "correct biases" if correct else "measure")
        else:
            step.plain()
        for name in {*node.inputs, *node.outputs}:
            if last_use.get(name, -1) <= index:
                values.pop(name, None)
    slot = next((slot for slot, own in enumerate(has_batch(plan.graph)) if own), None)
    return outcomes, sum(1 if slot is None else len(chunk[slot]) for chunk in chunks)


class _Step:
    """One node of the walk."""

    def __init__(
        self,
        plan: Plan,
        node: Node,
        values: dict[str, _Value],
        affines: Mapping[str, Affine],
        adapters: Mapping[str, Affine],
        make_runner: MakeRunner,
    ) -> None:
        self._plan, self._node, self._values, self._affines = plan, node, values, affines
        self._make_runner, self._adapter = make_runner, adapters.get(node.name)
        self._operands = [n for n in dict.fromkeys(node.inputs) if not plan.graph.tensors[n].is_constant]
        self._count = len(values[self._operands[0]].real) if self._operands else 0

    def plain(self) -> None:
        """A node without weights: the same float function on both sides, then levels."""
        run = self._make_runner(single_node(self._plan.graph, self._node))
        for name in self._node.outputs:
            if not self._operands:
                continue
            real = [run(self._inputs(chunk), [name])[name] for chunk in range(self._count)]
            same = all(self._values[n].rounded is self._values[n].real for n in self._operands)
            seen = real if same else [run(self._seen(chunk), [name])[name] for chunk in range(self._count)]
            self._values[name] = _stored(real, seen, self._affines.get(name))

    def weighted(self, weights: LayerWeights | None, correct: bool) -> LayerOutcome:
        """A node with weights: measure, and repair the bias."""
        graph, node = self._plan.graph, self._node
        real_run = self._make_runner(single_node(graph, node))
        bare = node.with_(
            attrs=replace(node.attrs, clamp=None),
            params={role: name for role, name in node.params.items() if role != "slope"},
        )
        rounded = None if weights is None else weights.real
        seen_run = self._make_runner(single_node(graph, bare, rounded))
        name, axis = node.output, channel_axis(node, graph.tensors[node.output].shape)
        real = [real_run(self._inputs(chunk), [name])[name] for chunk in range(self._count)]
        seen = [seen_run(self._seen(chunk), [name])[name] for chunk in range(self._count)]
        activation = _Activation(graph, node, self._affines.get(name))
        bias = layer_bias(graph, node)
        shift = np.zeros(len(bias))
        if correct:
            picked = [_picked(real, axis), _picked(seen, axis)]
            further = _reader_function(graph, node)
            shift = bias_correction.correct(picked[1], further(picked[0]), lambda t: further(activation(t)))
            shift = np.where(np.abs(bias + shift) <= np.maximum(self._largest_bias(weights), np.abs(bias)), shift, 0.0)
        moved = shift.astype(np.float32)
        spread = [1] * real[0].ndim
        spread[axis] = -1
        for chunk, t in enumerate(seen):
            if np.any(moved):
                t = t + moved.reshape(spread)
            seen[chunk] = np.moveaxis(activation(np.moveaxis(t, axis, -1)), -1, axis)
        value = self._values[name] = _stored(real, seen, self._affines.get(name))
        power = noise = 0.0
        for chunk in range(self._count):
            difference = value.quantized(chunk) - value.real[chunk]
            power += float(np.vdot(value.real[chunk], value.real[chunk]))
            noise += float(np.vdot(difference, difference))
        sqnr = math.inf if noise == 0 else 10 * math.log10(power / noise) if power > 0 else -math.inf
        return LayerOutcome(bias + shift, sqnr, int(np.count_nonzero(moved)), is_zero=power == 0)

    def _largest_bias(self, weights: LayerWeights | None) -> npt.NDArray[np.float64]:
        """What a bias may become: the scale of a channel without weights is only as large as its own bias needs."""
        if weights is None or not self._plan.is_integer(self._node):
            return np.asarray(math.inf)
        affine = self._adapter or self._affines[self._node.inputs[0]]
        return BIAS_LIMIT * float(affine.scale) * weights.affine.scale.astype(np.float64)

    def _inputs(self, chunk: int) -> list[F32]:
        return [self._values[name].real[chunk] for name in self._operands]

    def _seen(self, chunk: int) -> list[F32]:
        arrays = [self._values[name].quantized(chunk) for name in self._operands]
        if self._adapter is not None:
            arrays[0] = _Value([], [_levels(arrays[0], self._adapter)], self._adapter).quantized(0)
        return arrays


class _Activation:
    """What a layer does after its sums: slope or clamp, then the saturation of its levels. Channels come last."""

    def __init__(self, graph: Graph, node: Node, affine: Affine | None) -> None:
        self._slope = graph.constant(node, "slope") if "slope" in node.params else None
        low, high = node.attrs.clamp or (None, None)
        self._low, self._high = -math.inf if low is None else low, math.inf if high is None else high
        if affine is not None:
            scale, z = float(affine.scale), affine.zero_point
            self._low = max(self._low, scale * (affine.levels.lo - z))
            self._high = max(self._low, min(self._high, scale * (affine.levels.hi - z)))

    def __call__(self, t: F32) -> F32:
        if self._slope is not None:
            t = np.where(t < 0, t * self._slope, t)
        if math.isinf(self._low) and math.isinf(self._high):
            return t
        return np.clip(t, np.float32(self._low), np.float32(self._high))


def single_node(graph: Graph, node: Node, weight: F32 | None = None) -> Graph:
    """A float graph of this node alone, possibly with another weight."""
    operands = [name for name in dict.fromkeys(node.inputs) if not graph.tensors[name].is_constant]
    tensors = {name: graph.tensors[name] for name in (*node.reads(), *node.outputs)}
    if weight is not None:
        name = node.params["weight"]
        tensors[name] = Tensor.constant(name, weight)
    return Graph((node,), tensors, tuple(operands), node.outputs, node.name)


def _reader_function(graph: Graph, node: Node) -> bias_correction.Activation:
    """The function that alone reads a layer's output, such as a sigmoid: the mean behind it is the one that counts."""
    readers = graph.consumers(node.output)
    if graph.use_count(node.output) == 1 and readers and isinstance(readers[0].attrs, UnaryAttrs):
        attrs = readers[0].attrs
        if attrs.function == "gelu":  # close enough for a mean, and much faster than erf
            attrs = UnaryAttrs("gelu_tanh")
        if attrs.function in ("hard_swish", "silu", "gelu_tanh", "hard_sigmoid", "sigmoid", "tanh", "elu", "relu"):
            function = double_function(attrs)
            return lambda x: function(x.astype(np.float64)).astype(np.float32)
    return lambda x: x


def _stored(real: list[F32], seen: Sequence[F32] | None, affine: Affine | None) -> _Value:
    if affine is not None:
        return _Value(real, [_levels(array, affine) for array in (real if seen is None else seen)], affine)
    if seen is None or seen is real:
        return _Value(real, real)
    return _Value(real, list(seen))


def _levels(array: F32, affine: Affine) -> npt.NDArray[np.uint8]:
    """`u` of real values, as `numerics.quantize` gives it but faster."""
    zero = np.float32(affine.zero_point - affine.levels.lo)
    steps = np.asarray(array / affine.scale)  # NumPy makes scalars of arrays of rank 0
    np.rint(steps, out=steps)
    steps += zero
    np.clip(steps, 0, affine.levels.bins - 1, out=steps)
    steps[np.isnan(steps)] = zero
    return steps.astype(np.uint8)


def _picked(arrays: Sequence[F32], axis: int) -> F32:
    """Evenly spaced positions of all chunks, as (positions, channels)."""
    rows = [np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]) for array in arrays]
    total, channels = sum(len(r) for r in rows), rows[0].shape[1]
    stride = max(1, total // max(1024, SAMPLED_VALUES // channels))
    while stride > 1 and any(math.gcd(stride, size) > 1 for size in arrays[0].shape[1:]):
        stride += 1
    return np.concatenate([r[::stride] for r in rows])


def _chunks(graph: Graph, statistics: Statistics) -> list[tuple[F32, ...]]:
    """As many samples as the memory allows, joined into chunks where the batch is free."""
    shapes = statistics.shapes
    count = min(len(statistics.sample), max(1, WORK_BYTES // max(_peak_bytes(graph, statistics), 1)))
    samples = statistics.sample[:count]
    if statistics.alone or not is_free(graph):
        return samples
    largest = 4 * max(math.prod(shape) for shape in shapes.values())
    size = int(np.clip(CHUNK_BYTES // largest, 1, 64))
    groups: list[list[Sample]] = []
    for sample in samples:
        if groups and len(groups[-1]) < size and can_join(graph, groups[-1][0], sample):
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return [tuple(joined(graph, group)) for group in groups]


def _peak_bytes(graph: Graph, statistics: Statistics) -> int:
    """Most bytes that one sample takes at any node: 4 + 1 a stored value, 13 one that is being made."""
    elements = {name: math.prod(shape) for name, shape in statistics.shapes.items()}
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    live = set(graph.inputs)
    peak = 0
    for index, node in enumerate(graph.nodes):
        made = sum(elements[name] for name in node.outputs)
        peak = max(peak, 5 * sum(elements[name] for name in live) + 13 * made)
        live |= set(node.outputs)
        live = {name for name in live if last_use.get(name, -1) > index}
    return peak


__all__ = ["LayerOutcome", "Runner", "single_node", "walk"]
