# SPDX-License-Identifier: Apache-2.0
"""Write the quantized graph that a plan, scales, weights and biases describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fewbins.build.constants import Constants, mean_rule, requantize_constants
from fewbins.build.plan import LOOKS_AT_LEVELS, channel_factors, is_table, Plan
from fewbins.build.weights import LayerWeights
from fewbins.graph import Graph, Node, Tensor
from fewbins.levels import Levels
from fewbins.numerics import (
    Affine,
    affine_from_range,
    bias_to_int32,
    build_table,
    narrowed_levels,
    prove_int32,
    quantize,
    real_multiplier,
    to_memory,
    weight_sums,
)
from fewbins.ops import DequantizeAttrs, QuantizeAttrs, Requantize, RequantizeAttrs, TableAttrs
from fewbins.ops.grid import reads_sizes_only
from fewbins.ops.unary import double_function
from fewbins.passes.fold_scale import channel_rows
from fewbins.passes.fuse_activation import WEIGHTED, clamp_of
from fewbins.passes.share_scales import keeps_levels

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

BILINEAR_UNIT = 2.0**-22
"""A bilinear accumulator counts in this: two weights of 11 bits each."""


def emit(
    plan: Plan,
    affines: Mapping[str, Affine],
    adapters: Mapping[str, Affine],
    weights: Mapping[str, LayerWeights],
    biases: Mapping[str, F64],
) -> Graph:
    """Build the quantized graph.

    Args:
        plan: decisions about the float graph.
        affines: of every tensor with levels, groups sharing one.
        adapters: node -> the affine that its adapter requantizes to.
        weights: of every layer that is not "float".
        biases: real biases of every layer.

    Returns:
        A valid graph whose inputs and outputs are float32 and have the float graph's names.

    Raises:
        CalibrationError: an accumulator cannot be proven to fit int32, or scales are too far apart; names the layer.
    """
    return _Emitter(plan, affines, adapters, weights, biases).graph()


class _Emitter:
    """Walks the float graph once and writes nodes and tensors."""

    def __init__(
        self,
        plan: Plan,
        affines: Mapping[str, Affine],
        adapters: Mapping[str, Affine],
        weights: Mapping[str, LayerWeights],
        biases: Mapping[str, F64],
    ) -> None:
        self._plan, self._source = plan, plan.graph
        self._affines, self._adapters = affines, adapters
        self._weights, self._biases = weights, biases
        self._nodes: list[Node] = []
        self._tensors: dict[str, Tensor] = {}
        self._adapted: dict[tuple[str, Affine, str], str] = {}
        self._names = self._source.names()
        self._forms: dict[tuple[str, str], str] = {}
        for tensor in self._source.tensors.values():
            if not tensor.is_constant:
                self._name_forms(tensor.name)

    def graph(self) -> Graph:
        for name in self._source.inputs:
            self._declare(name, "float")
            if self._plan.has_levels(name):
                self._quantize(name)
        for node in self._source.nodes:
            if self._plan.is_integer(node):
                self._integer(node)
            else:
                self._float(node)
        inputs, outputs = self._source.inputs, self._source.outputs
        graph = Graph(tuple(self._nodes), self._tensors, inputs, outputs, self._source.name, self._source.unread)
        return graph.prune().validate()

    # Names and forms -------------------------------------------------------------------------------------------------

    def _name_forms(self, name: str) -> None:
        """The native form of a tensor keeps its name; at the graph's ends, where names are public, float32 keeps it."""
        producer = self._source.producer(name)
        public = name in self._source.inputs or name in self._source.outputs
        integer = producer is not None and self._plan.is_integer(producer)
        both = self._plan.has_levels(name) and name in self._plan.floats
        self._forms[name, "levels"] = self._names.fresh(f"{name}/levels") if both and (public or not integer) else name
        self._forms[name, "float"] = self._names.fresh(f"{name}/float") if both and integer and not public else name

    def _declare(self, name: str, form: str) -> str:
        shape = self._source.tensors[name].shape
        new = self._forms[name, form]
        affine = self._affines[name] if form == "levels" else None
        dtype = self._source.tensors[name].dtype if affine is None else "levels"
        self._tensors[new] = Tensor(new, shape, dtype, affine)
        return new

    def _add(self, op: str, name: str, inputs: tuple[str, ...], output: str, attrs: Any, params: Constants) -> None:
        """Write a node; its constants become tensors named after it."""
        roles = {role: self._constant(f"{name}/{role}", data) for role, data in params.items()}
        self._nodes.append(Node(op, name, inputs, (output,), attrs, roles))

    def _constant(self, name: str, data: Array, affine: Affine | None = None, dtype: str | None = None) -> str:
        name = self._names.fresh(name)
        self._tensors[name] = Tensor.constant(name, np.asarray(data, order="C"), dtype=dtype, affine=affine)
        return name

    # Between the two worlds ------------------------------------------------------------------------------------------

    def _quantize(self, name: str) -> None:
        output = self._declare(name, "levels")
        inputs = (self._forms[name, "float"],)
        self._add("Quantize", self._names.fresh(f"{name}/quantize"), inputs, output, QuantizeAttrs(), {})

    def _is_offset(self, node: Node) -> bool:
        """Whether a node is `x - mean` with one mean for each channel, and all that reads it wants its levels."""
        if node.op != "Binary" or node.attrs.function != "sub" or node.attrs.clamp is not None:
            return False
        x, mean = (self._source.tensors[name] for name in node.inputs)
        if x.is_constant or mean.data is None or not self._plan.has_levels(node.output):
            return False
        aligned = (1,) * (len(x.shape) - mean.data.ndim) + mean.data.shape
        return (
            node.output not in self._source.outputs
            and sum(size > 1 for size in aligned) <= 1
            and self._source.tensors[node.output].shape == x.shape
            and all(self._reads_levels(reader, node.output) for reader in self._source.consumers(node.output))
        )

    def _reads_levels(self, node: Node, name: str) -> bool:
        """Whether a node reads the tensor as the levels that it has, and never as float32."""
        if not self._plan.is_integer(node) or node.name in self._adapters:
            return False
        return node.op not in WEIGHTED or name not in node.inputs[1:] or self._plan.has_levels(node.output)

    def _quantize_difference(self, node: Node) -> None:
        output = self._declare(node.output, "levels")
        shape = self._source.tensors[node.output].shape
        mean = self._source.tensors[node.inputs[1]].value
        wide = [axis for axis, size in enumerate(mean.shape) if size > 1]
        attrs = QuantizeAttrs(axis=len(shape) - mean.ndim + wide[0] if wide else 1)
        inputs = (self._forms[node.inputs[0], "float"],)
        self._add("Quantize", node.name, inputs, output, attrs, {"offset": mean.reshape(-1)})

    def _dequantize(self, name: str) -> None:
        output = self._declare(name, "float")
        inputs = (self._forms[name, "levels"],)
        self._add("Dequantize", self._names.fresh(f"{name}/dequantize"), inputs, output, DequantizeAttrs(), {})

    def _adapted_input(self, node: Node) -> tuple[str, Affine]:
        """A layer's input and what it means: the tensor as it is, or requantized to levels that the layer reads."""
        name = node.inputs[0]
        affine = self._adapters.get(node.name)
        if affine is None:
            return self._forms[name, "levels"], self._affines[name]
        rule = self._plan.rule(node)
        key = (name, affine, rule)
        if key not in self._adapted:
            output = self._names.fresh(f"{name}/{affine.levels.bins}bins")
            self._tensors[output] = Tensor(output, self._source.tensors[name].shape, "levels", affine)
            producer = self._source.producer(name)
            if producer is None or not self._plan.is_integer(producer):
                inputs = (self._forms[name, "float"],)
                self._add("Quantize", self._names.fresh(f"{output}/quantize"), inputs, output, QuantizeAttrs(), {})
            else:
                m64 = real_multiplier(self._affines[name].scale, 1.0, affine.scale).reshape(1)
                kind, params = requantize_constants(rule, m64)
                attrs = RequantizeAttrs(Requantize(kind, affine.levels.lo, affine.levels.hi))
                inputs = (self._forms[name, "levels"],)
                self._add("Requantize", self._names.fresh(f"{output}/requantize"), inputs, output, attrs, params)
            self._adapted[key] = output
        return self._adapted[key], affine

    # Nodes -----------------------------------------------------------------------------------------------------------

    def _float(self, node: Node) -> None:
        """Copy a node that works in float32; constants come along, weights of `w` schemes as integers."""
        if self._is_offset(node):
            self._quantize_difference(node)
            return
        inputs = tuple(
            self._either_form(name) if reads_sizes_only(node, slot) else self._float_operand(name)
            for slot, name in enumerate(node.inputs)
        )
        params = {}
        for role, name in node.params.items():
            if role == "weight" and node.name in self._weights:
                rounded = self._weights[node.name]
                params[role] = self._constant(f"{node.name}/weight", rounded.data, rounded.affine)
            elif role == "bias" and node.op in WEIGHTED:
                continue
            else:
                self._tensors[name] = self._source.tensors[name]
                params[role] = name
        if node.op in WEIGHTED and ("bias" in node.params or np.any(self._biases[node.name])):
            params["bias"] = self._constant(f"{node.name}/bias", self._biases[node.name].astype(np.float32))
        outputs = tuple(self._declare(name, "float") for name in node.outputs)
        self._nodes.append(node.with_(inputs=inputs, outputs=outputs, params=params))
        for name in node.outputs:
            if self._plan.has_levels(name):
                self._quantize(name)

    def _float_operand(self, name: str) -> str:
        tensor = self._source.tensors[name]
        if tensor.is_constant:
            self._tensors[name] = tensor
            return name
        return self._forms[name, "float"]

    def _either_form(self, name: str) -> str:
        """The tensor as it is there anyway, for a node that reads its sizes only."""
        levels = self._plan.has_levels(name) and name not in self._plan.floats
        return self._forms[name, "levels"] if levels else self._float_operand(name)

    def _integer(self, node: Node) -> None:
        form = "levels" if self._plan.has_levels(node.output) else "float"
        output = self._declare(node.output, form)
        affine = self._affines.get(node.output)
        if node.op in WEIGHTED:
            self._weighted(node, output, affine)
        elif keeps_levels(node):
            inputs = tuple(self._levels_operand(name, self._affines[node.output]) for name in node.inputs)
            self._add(node.op, node.name, inputs, output, node.attrs, {})
        elif node.op in LOOKS_AT_LEVELS:
            inputs = tuple(self._forms[name, "levels"] for name in node.inputs)
            self._add(node.op, node.name, inputs, output, node.attrs, {})
        elif node.op in ("AveragePool", "Reduce"):
            self._mean(node, output, affine)
        else:
            assert affine is not None  # such a node is integer only where its readers want levels
            self._elementwise(node, output, affine)
        if form == "levels" and node.output in self._plan.floats:
            self._dequantize(node.output)

    def _levels_operand(self, name: str, group: Affine) -> str:
        tensor = self._source.tensors[name]
        if not tensor.is_constant:
            return self._forms[name, "levels"]
        u = to_memory(quantize(tensor.value, group), group.levels)
        return self._constant(f"{name}/levels", u, group, "levels")

    def _weighted(self, node: Node, output: str, affine: Affine | None) -> None:
        source, scale_in = self._adapted_input(node)
        rounded, bias = self._weights[node.name], self._biases[node.name]
        scale_w = np.broadcast_to(rounded.affine.scale, bias.shape)
        integers = bias_to_int32(bias, float(scale_in.scale), scale_w, name=f"layer '{node.name}'")
        sums = weight_sums(channel_rows(node, rounded.signed()))
        prove_int32(integers, sums, scale_in.levels, scale_in.zero_point, name=f"layer '{node.name}'")
        scale_y = None if affine is None else affine.scale
        m64 = real_multiplier(scale_in.scale, rounded.affine.scale, scale_y).reshape(-1)
        inputs, m64_residual = [source], None
        if len(node.inputs) > 1 and affine is not None:
            inputs.append(self._forms[node.inputs[1], "levels"])
            m64_residual = real_multiplier(self._affines[node.inputs[1]].scale, 1.0, affine.scale).item()
        elif len(node.inputs) > 1:
            inputs.append(self._forms[node.inputs[1], "float"])
        negative = m64 * self._source.constant(node, "slope").astype(np.float64) if "slope" in node.params else None
        rule = "dequantize" if affine is None else self._plan.rule(node)
        where = f"layer '{node.name}'"
        kind, params = requantize_constants(rule, m64, residual=m64_residual, negative=negative, where=where)
        attrs = replace(node.attrs, requantize=_requantize(kind, affine, node.attrs.clamp))
        if rounded.table is not None:
            params["weight_table"] = rounded.table
        self._add(node.op, node.name, tuple(inputs), output, attrs, {"bias": integers, **params})
        weight = self._constant(f"{node.name}/weight", rounded.data, rounded.affine)
        self._nodes[-1] = self._nodes[-1].with_(params={"weight": weight, **self._nodes[-1].params})

    def _mean(self, node: Node, output: str, affine: Affine | None) -> None:
        rule = "dequantize" if affine is None else mean_rule(self._plan.rule(node))
        attrs = replace(node.attrs, requantize=_requantize(rule, affine, None))
        self._add(node.op, node.name, (self._forms[node.inputs[0], "levels"],), output, attrs, {})

    def _elementwise(self, node: Node, output: str, affine: Affine) -> None:
        """Unary, PRelu, Binary and bilinear Resize on levels."""
        if is_table(node):
            params = {"table": build_table(double_function(node.attrs), self._affines[node.inputs[0]], affine)}
            self._add("Table", node.name, (self._forms[node.inputs[0], "levels"],), output, TableAttrs(), params)
        elif node.op == "Resize":
            x = self._affines[node.inputs[0]]
            kind, params = requantize_constants(
                self._plan.rule(node), (BILINEAR_UNIT * real_multiplier(x.scale, 1.0, affine.scale)).reshape(1)
            )
            attrs = replace(node.attrs, requantize=_requantize(kind, affine, None))
            self._add("Resize", node.name, (self._forms[node.inputs[0], "levels"],), output, attrs, params)
        elif node.op == "Binary":
            self._binary(node, output, affine)
        else:
            slope = None
            if node.op == "PRelu":
                slope = self._source.constant(node, "slope").astype(np.float64).reshape(-1)
            elif node.attrs.function == "leaky_relu":
                slope = np.array([node.attrs.alpha], np.float64)
            self._requantized(node, output, affine, node.inputs[0], np.ones(1), slope, clamp_of(node))

    def _requantized(
        self,
        node: Node,
        output: str,
        affine: Affine,
        operand: str,
        factors: F64,
        slope: F64 | None,
        clamp: tuple[float | None, float | None] | None,
    ) -> None:
        """A node that multiplies one tensor by constants, and may clamp it or have another slope below zero."""
        m64 = factors * real_multiplier(self._affines[operand].scale, 1.0, affine.scale)
        negative = None if slope is None else np.asarray(m64 * slope)
        kind, params = requantize_constants(self._plan.rule(node), m64, negative=negative, where=f"node '{node.name}'")
        attrs = RequantizeAttrs(_requantize(kind, affine, clamp))
        self._add("Requantize", node.name, (self._forms[operand, "levels"],), output, attrs, params)

    def _binary(self, node: Node, output: str, affine: Affine) -> None:
        tensors = [self._source.tensors[name] for name in node.inputs]
        operand = next(tensor.name for tensor in tensors if not tensor.is_constant)
        factors = channel_factors(self._source, node)
        if factors is not None:
            self._requantized(node, output, affine, operand, np.array(factors), None, node.attrs.clamp)
            return
        function = node.attrs.function
        if function in ("max", "min"):
            bound = float(next(tensor.value for tensor in tensors if tensor.is_constant).reshape(()))
            clamp = (bound, None) if function == "max" else (None, bound)
            self._requantized(node, output, affine, operand, np.ones(1), None, clamp)
            return
        names, scales = [], []
        for tensor in tensors:
            if tensor.is_constant:
                values = 1.0 / tensor.value if function == "div" else tensor.value
                name, constant_affine = self._constant_operand(node, np.atleast_1d(values).astype(np.float32))
                names.append(name)
                scales.append(constant_affine.scale)
            else:
                names.append(self._forms[tensor.name, "levels"])
                scales.append(self._affines[tensor.name].scale)
        rule = self._plan.rule(node)
        where = f"node '{node.name}'"
        if function in ("mul", "div"):
            m64 = real_multiplier(scales[0], scales[1], affine.scale).reshape(1)
            kind, params = requantize_constants(rule, m64, where=where)
            negate = False
        else:
            m64 = real_multiplier(scales[0], 1.0, affine.scale).reshape(1)
            sign = -1.0 if function == "sub" else 1.0
            m64_b = sign * real_multiplier(scales[1], 1.0, affine.scale).item()
            kind, params = requantize_constants(rule, m64, residual=m64_b, where=where)
            negate = kind == "shift" and function == "sub"
        requantize = replace(_requantize(kind, affine, node.attrs.clamp), negate_residual=negate)
        name = "mul" if function == "div" else function
        attrs = replace(node.attrs, function=name, requantize=requantize)
        self._add("Binary", node.name, (names[0], names[1]), output, attrs, params)

    def _constant_operand(self, node: Node, values: Array) -> tuple[str, Affine]:
        """A constant of an elementwise node in 8 bits; its largest and smallest values are levels."""
        low, high, po2 = float(values.min()), float(values.max()), self._plan.base.po2
        affine = affine_from_range(low, high, Levels.of(256), po2=po2, name=f"node '{node.name}'")
        u = to_memory(quantize(values, affine), affine.levels)
        return self._constant(f"{node.name}/constant", u, affine, "levels"), affine


def _requantize(kind: str, affine: Affine | None, clamp: tuple[float | None, float | None] | None) -> Requantize:
    if affine is None:
        return Requantize("dequantize")
    return Requantize(kind, *narrowed_levels(affine, clamp))
