# SPDX-License-Identifier: Apache-2.0
"""The graph under construction: operators of the importer read ONNX values from it and emit canonical nodes into it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from fewbins.errors import FewbinsError
from fewbins.graph import Dim, Graph, Names, Node, Shape, Tensor
from fewbins.importers.free_sizes import at_run_time
from fewbins.importers.onnx_file import OnnxFile
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import Size, Symbol, from_dim
from fewbins.importers.values import BROKEN, Activation, Array, Broken, Constant, OnnxNode, Value, to_sizes
from fewbins.numerics import flush_subnormals
from fewbins.ops import REGISTRY, ReshapeAttrs, infer_node
from fewbins.ops.dtypes import PLAIN, expected_dtypes
from fewbins.ops.grid import reads_sizes_only
from fewbins.ops.shapes import UNKNOWN, is_unknown

# The most elements that a constant folded at import may have: 64 MiB of float32.
MAX_FOLDED_ELEMENTS = 2**24
MAX_SIZE_NAME = 200


class Context:
    """Values by ONNX name, and the canonical nodes and tensors made of them so far.

    Attributes:
        file: where initializers come from.
        values: what each ONNX name stands for.
        reads: how many nodes and graph outputs read each ONNX name.
        shaped: the values whose shape the network asks for, so far.
    """

    def __init__(self, file: OnnxFile, reads: Mapping[str, int]) -> None:
        """Start with nothing."""
        self.file = file
        self.values: dict[str, Value | Broken] = {}
        self.reads = reads
        self._lazy: dict[str, onnx.TensorProto | onnx.SparseTensorProto] = dict(file.constants())
        self._count = 0
        self._nodes: list[Node] = []
        self._node_names = Names(given=(node_label(proto, i) for i, proto in enumerate(file.proto.graph.node)))
        self._tensors: dict[str, Tensor] = {}
        # By id() of the array, which stays its own while the array is kept here.
        self._constants: dict[int, tuple[str, Array]] = {}
        self._inputs: dict[str, str] = {}
        # What a tensor is called in the file, and what it is called where the file has no name for it.
        self._preferred: dict[str, str] = {}
        self.shaped: list[Activation] = []
        # What `emit` was told about sizes that no operator's rule knows: by name, and by tensor and axis without one.
        self._named_sizes: dict[Dim, Size] = {}
        self._sizes: dict[tuple[str, int], Size] = {}
        self._hints: dict[str, str] = {}

    # Reading.

    def known(self, name: str) -> bool:
        """Whether a value of that ONNX name exists."""
        return name in self.values or name in self._lazy

    def value(self, name: str) -> Value | Broken:
        """What an ONNX name stands for; initializers are read when first asked for."""
        if name in self._lazy:
            self.values[name] = Constant(self.file.initializer(self._lazy.pop(name), name), name)
        return self.values[name]

    def optional(self, node: OnnxNode, slot: int) -> Value | None:
        """An input; None where it is absent."""
        if slot >= len(node.inputs) or not node.inputs[slot]:
            return None
        value = self.value(node.inputs[slot])
        if isinstance(value, Broken):
            raise NodeError("reads a value that could not be imported")
        return value

    def input(self, node: OnnxNode, slot: int) -> Value:
        """An input that must be there."""
        value = self.optional(node, slot)
        if value is None:
            raise NodeError(f"input {slot} is missing; the file is not valid ONNX")
        return value

    def activation(self, node: OnnxNode, slot: int, rank: int | None = None) -> Activation | Constant:
        """A float32 operand, constant or not, of a given rank where that matters."""
        value = self.input(node, slot)
        if isinstance(value, Constant):
            value = at_run_time(self, node, value)
        if isinstance(value, Constant) and (value.symbolic or value.data.dtype != np.float32):
            kind = "integer" if value.symbolic and not value.floating else value.data.dtype
            raise NodeError(f"input {slot} is {kind}; only float32 can be computed here, export in float32")
        if isinstance(value, Activation) and value.dtype != "float32":
            raise NodeError(f"input {slot} is {value.dtype}; only float32 can be computed here, cast it to float32")
        if rank is not None and len(value.shape) != rank:
            raise NodeError(f"input {slot} has rank {len(value.shape)}, only rank {rank} is supported; reshape it")
        return value

    def operand(self, node: OnnxNode, slot: int) -> Activation | Constant:
        """An operand of any type that a tensor may have, constant or not."""
        value = self.input(node, slot)
        if isinstance(value, Constant) and (value.symbolic or value.data.dtype.name not in PLAIN):
            kind = "made of free sizes" if value.symbolic else value.data.dtype
            raise NodeError(f"input {slot} is {kind}; only {', '.join(PLAIN)} can be computed at run time")
        return value

    def constant(self, node: OnnxNode, slot: int, what: str) -> Array | None:
        """An input that must be a known constant if it is there: weights, limits, pads."""
        value = self.optional(node, slot)
        if value is None:
            return None
        if isinstance(value, Activation):
            raise NodeError(f"{what} ('{node.inputs[slot]}') must be a constant; it is computed at run time")
        if value.symbolic:
            free = ", ".join(sorted({str(size) for size in to_sizes(value) if isinstance(size, Symbol)}))
            raise NodeError(f"{what} depends on the free size {free}; fix it with load_onnx(..., input_shapes=...)")
        return value.data

    def weights(self, node: OnnxNode, slot: int, what: str) -> Constant | None:
        """A float32 constant for a node's params."""
        data = self.constant(node, slot, what)
        if data is None:
            return None
        if data.dtype != np.float32:
            raise NodeError(f"{what} is {data.dtype}, not float32; export the model in float32")
        value = self.input(node, slot)
        assert isinstance(value, Constant)
        return value

    def integers(self, node: OnnxNode, slot: int, what: str) -> tuple[int, ...] | None:
        """A constant list of integers, such as axes."""
        data = self.constant(node, slot, what)
        if data is None:
            return None
        if data.dtype.kind not in "iu":
            raise NodeError(f"{what} is {data.dtype}, not integer; the file is not valid ONNX")
        return tuple(int(item) for item in data.flat)

    def sizes(self, node: OnnxNode, slot: int, what: str) -> list[Size] | None:
        """A list of sizes, some of which may be free."""
        value = self.optional(node, slot)
        if value is None:
            return None
        if isinstance(value, Activation):
            raise NodeError(f"{what} ('{node.inputs[slot]}') must not depend on the input's values")
        return to_sizes(value)

    def sizes_of(self, value: Value) -> list[Size]:
        """The shape of a value as sizes that can be calculated with."""
        if isinstance(value, Constant):
            return list(value.shape)
        return [
            self._sizes.get((value.id, axis)) or self._named_sizes.get(dim) or from_dim(dim, value.id, axis)
            for axis, dim in enumerate(value.shape)
        ]

    def with_sizes(self) -> Iterator[Activation]:
        """Tensors whose sizes may be read at run time: those whose shape the network asks for, then inputs.

        So no tensor is kept for its sizes alone that the network does not keep itself.
        """
        yield from reversed(self.shaped)
        for value in self.values.values():
            if isinstance(value, Activation) and value.id in self._inputs:
                yield value

    def wanted(self, node: OnnxNode, slot: int) -> bool:
        """Whether anything reads that output of the node."""
        return slot < len(node.outputs) and bool(node.outputs[slot]) and self.reads.get(node.outputs[slot], 0) > 0

    # Writing.

    def add_input(self, name: str, shape: Shape, dtype: str = "float32") -> None:
        """Declare a graph input."""
        made = self._new_id()
        self._inputs[made] = name
        self._tensors[made] = Tensor(made, shape, dtype)
        self.values[name] = Activation(made, shape, dtype=dtype)

    def bind(self, name: str, value: Value | Broken) -> None:
        """Let an ONNX name stand for a value; the first name of a value becomes its tensor's."""
        self.values[name] = value
        if isinstance(value, Activation):
            self._preferred.setdefault(value.id, name)

    def emit(
        self,
        op: str,
        node: OnnxNode,
        inputs: Sequence[Value],
        attrs: Any,
        params: Mapping[str, Constant | Array | None] | None = None,
        *,
        suffix: str = "",
        sizes: Sequence[Size] | None = None,
    ) -> Value:
        """Append a canonical node with one output; computes it at once where all its inputs are constants.

        Args:
            op: a canonical operator.
            node: the ONNX node it comes from.
            inputs: operands in slot order.
            attrs: the operator's attributes.
            params: constants by role; None values are left out.
            suffix: what this node does for the ONNX node, where it is not the main one.
            sizes: the output's sizes, where more is known of them than the operator's rule tells.

        Raises:
            NodeError: shapes that do not fit each other.
        """
        (value,) = self.emit_all(op, node, inputs, attrs, params, suffix=suffix, sizes=sizes)
        return value

    def emit_all(
        self,
        op: str,
        node: OnnxNode,
        inputs: Sequence[Value],
        attrs: Any,
        params: Mapping[str, Constant | Array | None] | None = None,
        *,
        suffix: str = "",
        sizes: Sequence[Size] | None = None,
    ) -> list[Value]:
        """As `emit`, for an operator with any number of outputs."""
        operands = tuple(self._operand(value, node) for value in inputs)
        roles = {
            role: self._param(value, f"{node.name}.{role}")
            for role, value in (params or {}).items()
            if value is not None
        }
        given = [self._tensors[name] for name in operands]
        made = Node(op, self._node_name(node, suffix), operands, (), attrs, roles)
        try:
            shapes = infer_node(
                made,
                [tensor.shape for tensor in given],
                {role: self._tensors[name].shape for role, name in roles.items()},
            )
        except FewbinsError as error:
            # The report names the ONNX node already.
            raise NodeError(str(error).removeprefix(f"node '{made.name}' ({made.op}): ")) from error
        wanted, dtypes = expected_dtypes(made, [tensor.dtype for tensor in given])
        for slot, (tensor, dtype) in enumerate(zip(given, wanted, strict=True)):
            if tensor.dtype != dtype and not reads_sizes_only(made, slot):
                raise NodeError(f"operand {slot} is {tensor.dtype}; it must be {dtype} here, cast it")
        made = made.with_(outputs=tuple(self._new_id() for _ in shapes))
        if all(isinstance(value, Constant) for value in inputs):
            return self._compute(made, shapes)
        self._nodes.append(made)
        results: list[Value] = []
        for name, shape, dtype in zip(made.outputs, shapes, dtypes, strict=True):
            shape = name_free_sizes(made, given[0].shape, shape)
            for axis, size in enumerate(sizes or ()):
                if is_unknown(shape[axis]):
                    dim = _dim(size)
                    shape = (*shape[:axis], dim, *shape[axis + 1 :])
                    if is_unknown(dim):
                        self._sizes[name, axis] = size
                    else:
                        self._named_sizes[dim] = size
            self._tensors[name] = Tensor(name, shape, dtype)
            results.append(Activation(name, shape, dtype=dtype))
        return results

    def _operand(self, value: Value, node: OnnxNode) -> str:
        return value.id if isinstance(value, Activation) else self._constant(value, f"{node.name}.constant")

    def _param(self, value: Constant | Array, hint: str) -> str:
        constant = value if isinstance(value, Constant) else Constant(value)
        flushed = flush_subnormals(constant.data)
        if not np.array_equal(flushed, constant.data, equal_nan=True):
            constant = Constant(flushed, constant.name)
        return self._constant(constant, hint)

    def _constant(self, value: Constant, hint: str) -> str:
        if value.data.size == 0:
            raise NodeError(f"reads a constant of shape {show_shape(value.shape)}, which has no elements")
        key = id(value.data)
        if key not in self._constants:
            made = self._new_id()
            self._tensors[made] = Tensor.constant(made, np.array(value.data, order="C", copy=None))
            self._constants[key] = (made, value.data)
            if value.name:
                self._preferred[made] = value.name
            self._hints[made] = hint
        return self._constants[key][0]

    def _new_id(self) -> str:
        self._count += 1
        return f"%{self._count}"

    def _compute(self, node: Node, shapes: Sequence[Shape]) -> list[Value]:
        for shape in shapes:
            if math.prod(size for size in shape if isinstance(size, int)) > MAX_FOLDED_ELEMENTS:
                raise NodeError(f"its constant result {show_shape(shape)} exceeds {MAX_FOLDED_ELEMENTS} elements")
        tensors = {name: self._tensors[name] for name in node.reads()}
        made = {name: Tensor(name, shape) for name, shape in zip(node.outputs, shapes, strict=True)}
        graph = Graph((node,), {**tensors, **made}, (), node.outputs)
        arrays = [self._tensors[name].value for name in node.inputs]
        return [Constant(np.asarray(result)) for result in REGISTRY[node.op].oracle(node, arrays, graph)]

    def _node_name(self, node: OnnxNode, suffix: str) -> str:
        return self._node_names.fresh(f"{node.name}:{suffix}") if suffix else self._node_names.keep(node.name)

    def fail(self, node: OnnxNode) -> None:
        """Mark the outputs of a node that could not be imported."""
        for name in node.outputs:
            if name:
                self.values[name] = BROKEN

    def finish(self, outputs: Sequence[str], name: str) -> Graph:
        """The graph, with tensors called as in the ONNX file.

        Args:
            outputs: the ONNX names of the graph's outputs, all of them activations.
            name: the graph's name.
        """
        names = Names(given=(*self.values, *self._lazy))
        final = {made: names.keep(own) for made, own in self._inputs.items()}
        ends = []
        for output in outputs:
            value = self.values[output]
            assert isinstance(value, Activation)
            if value.id in final:
                value = self._copy(output, value)
            final[value.id] = names.keep(output)
            ends.append(final[value.id])
        for made in self._tensors:
            if made not in final:
                own = self._preferred.get(made)
                final[made] = names.fresh(self._hints.get(made, "value")) if own is None else names.keep(own)
        nodes = [
            node.with_(
                inputs=tuple(final[i] for i in node.inputs),
                outputs=tuple(final[i] for i in node.outputs),
                params={role: final[i] for role, i in node.params.items()},
            )
            for node in self._nodes
        ]
        tensors = {final[made]: replace(tensor, name=final[made]) for made, tensor in self._tensors.items()}
        return Graph(tuple(nodes), tensors, tuple(final[made] for made in self._inputs), tuple(ends), name)

    def _copy(self, output: str, value: Activation) -> Activation:
        node = OnnxNode("Identity", f"{output}:copy", 1, (), (output,), {})
        copied = self.emit("Reshape", node, [value], ReshapeAttrs((0,) * value.rank))
        assert isinstance(copied, Activation)
        return copied


def _dim(size: Size) -> Dim:
    """A size as one of a tensor's shape; a free one by its expression, so that equal ones have equal names."""
    name = str(size)
    if not isinstance(size, Symbol):
        return int(size)
    return UNKNOWN if len(name) >= MAX_SIZE_NAME or UNKNOWN in name else name


def name_free_sizes(node: Node, before: Shape, after: Shape) -> Shape:
    """Give an unknown height or width behind a window a name made of its expression.

    Two branches of a network then meet with equal names where their sizes are equal, and can be fused.

    >>> from fewbins.ops import ConvAttrs
    >>> wide = Node("Conv", "c", (), (), ConvAttrs((3, 3), (2, 2), (1, 1, 1, 1)))
    >>> point = Node("Conv", "d", (), (), ConvAttrs((1, 1), (2, 2)))
    >>> name_free_sizes(wide, (1, 3, "height", 8), (1, 6, "?", 4))
    (1, 6, '(height-1)/2+1', 4)
    >>> name_free_sizes(point, (1, 3, "height", 8), (1, 6, "?", 4))
    (1, 6, '(height-1)/2+1', 4)
    """
    if node.op not in ("Conv", "MaxPool", "AveragePool"):
        return after
    attrs = node.attrs
    named = list(after)
    for axis in range(2):
        size, old = after[2 + axis], before[2 + axis]
        if size != "?" or not isinstance(old, str) or old.startswith("?"):
            continue
        stride = attrs.strides[axis]
        if attrs.auto_pad != "explicit":
            named[2 + axis] = f"ceil({old}/{stride})"
        elif not getattr(attrs, "ceil_mode", False):
            room = attrs.pads[axis] + attrs.pads[axis + 2] - attrs.dilations[axis] * (attrs.kernel[axis] - 1) - 1
            named[2 + axis] = f"({old}{room:+})/{stride}+1"
    return tuple(size if len(str(size)) < MAX_SIZE_NAME else "?" for size in named)


def node_label(proto: onnx.NodeProto, index: int) -> str:
    """What a node is called: its name, else its operator and its index in the file."""
    return proto.name or f"{proto.op_type}_{index}"
