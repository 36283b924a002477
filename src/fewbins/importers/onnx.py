# SPDX-License-Identifier: Apache-2.0
"""Import of ONNX models: `load_onnx`.

The nodes are taken in order. Each value is a constant, a shape value that may hold free sizes, or an activation;
operators on the first two are computed at once, the others become canonical nodes (docs/onnx.md has the table). What
cannot be imported is collected over the whole file and reported in one error. Spelled-out activations (hard-swish,
SiLU, GELU) are recognized at the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.errors import ArgumentError, FewbinsError, ModelFileError, ShapeError, UnsupportedError
from fewbins.graph import Dim, Graph, Names, Shape

if TYPE_CHECKING:
    import onnx

    from fewbins.importers.context import Context
    from fewbins.importers.onnx_file import OnnxFile
    from fewbins.importers.values import OnnxNode

MAX_MESSAGE = 2000
FREE_NAMES = {4: ("batch", "channels", "height", "width"), 3: ("batch", "channels", "length"), 2: ("batch", "features")}


def load_onnx(
    path: str | os.PathLike[str] | bytes | onnx.ModelProto,
    *,
    input_shapes: Mapping[str, Sequence[Dim]] | None = None,
) -> Graph:
    """Read a float32 ONNX model into a graph of canonical operators.

    Args:
        path: an .onnx file, its bytes, or a parsed model. External data is read from the file's folder only.
        input_shapes: shapes that replace those in the file, by input name: numbers, or names for sizes that stay free.
            Height and width may stay free; a network whose shape arithmetic needs them must have them given here.

    Returns:
        A graph with BatchNormalization kept as nodes and all constants computed.

    Raises:
        FileAccessError: the file, or its external data, cannot be read.
        ModelFileError: it is not an ONNX model, it is corrupt, or it exceeds a limit.
        UnsupportedError: the opset or some nodes are not supported; the message names every such node.
        ArgumentError, ShapeError: `input_shapes` names no input, or contradicts itself.

    Example:
        >>> import onnx
        >>> text = '<ir_version: 8, opset_import: ["": 17]> g (float[N,3,H,W] x) => (float[] y) { y = Relu(x) }'
        >>> graph = load_onnx(onnx.parser.parse_model(text), input_shapes={"x": ("N", 3, 48, 192)})
        >>> graph.nodes[0].op, graph.tensors["y"].shape
        ('Unary', ('N', 3, 48, 192))
    """
    try:
        import onnx as _onnx  # noqa: F401
    except ImportError as error:
        raise UnsupportedError("reading ONNX models needs the package onnx: pip install 'fewbins[onnx]'") from error
    from fewbins.importers.onnx_file import read_onnx

    try:
        return _Import(read_onnx(path)).run(dict(input_shapes or {}))
    except FewbinsError as error:
        # Names come from the file and may hold anything, line breaks and a terminal's control codes among them.
        error.args = tuple(_printable(str(argument)) for argument in error.args)
        if isinstance(error, UnsupportedError):
            error.nodes = [_printable(line) for line in error.nodes]
        raise


def _printable(text: str) -> str:
    """The text on one line of bounded length, with control characters written as escapes."""
    shown = text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


class _Import:
    """One run of the importer."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.problems: list[str] = []

    def run(self, input_shapes: Mapping[str, Sequence[Dim]]) -> Graph:
        from fewbins.importers.context import Context
        from fewbins.importers.patterns import recognize_activations
        from fewbins.passes.one_row import keep_rows

        proto = self.file.proto.graph
        reads = Counter(name for node in proto.node for name in node.input)
        reads.update(output.name for output in proto.output)
        ctx = Context(self.file, reads)
        self._inputs(ctx, input_shapes)
        for index in range(len(proto.node)):
            self._node(ctx, index)
        outputs = self._outputs(ctx)
        if self.problems:
            raise UnsupportedError(f"{self.file.source} cannot be imported", self.problems)
        return keep_rows(recognize_activations(ctx.finish(outputs, proto.name)).prune()).validate()

    def _inputs(self, ctx: Context, given: Mapping[str, Sequence[Dim]]) -> None:
        import onnx

        infos = [info for info in self.file.proto.graph.input if not ctx.known(info.name)]
        names = [info.name for info in infos]
        if len(set(names)) != len(names):
            raise ModelFileError(f"{self.file.source}: an input is listed twice: {', '.join(names)}")
        for name in given:
            if name not in names:
                raise ArgumentError(f"input_shapes: the model has no input '{name}' (it has: {', '.join(names)})")
        sizes = _bound_sizes(infos, given)
        names_of_sizes = Names(size for info in infos for size in _file_dims(info) or () if isinstance(size, str))
        for info in infos:
            kind = info.type.tensor_type.elem_type
            if kind != onnx.TensorProto.FLOAT and ctx.reads.get(info.name):
                dtype = onnx.TensorProto.DataType.Name(kind) if kind in onnx.TensorProto.DataType.values() else kind
                self.problems.append(f"input '{info.name}' is {dtype}; only float32 inputs are supported")
            dims = _file_dims(info) if info.name not in given else tuple(given[info.name])
            if dims is None:
                raise UnsupportedError(
                    f"{self.file.source}: input '{info.name}' has no shape; give load_onnx(..., input_shapes=...)"
                )
            ctx.add_input(info.name, _named(info.name, tuple(sizes.get(size, size) for size in dims), names_of_sizes))

    def _node(self, ctx: Context, index: int) -> None:
        from fewbins.importers.context import node_label
        from fewbins.importers.problems import NodeError
        from fewbins.importers.values import BROKEN

        proto = self.file.proto.graph.node[index]
        for name in proto.input:
            if name and not ctx.known(name):
                raise ModelFileError(
                    f"{self.file.source}: node '{proto.name}' ({proto.op_type}) reads '{name}', which nothing before "
                    "it writes; the file is not valid ONNX"
                )
        for name in proto.output:
            if name and ctx.known(name):
                raise ModelFileError(f"{self.file.source}: '{name}' is written twice; the file is not valid ONNX")
        label = node_label(proto, index)
        node = None
        try:
            node = self._parse(index, label)
            if any(ctx.value(name) is BROKEN for name in node.inputs if name):
                raise _Silent
            # Infinities and NaN in a network's constants are its own affair here, not worth a warning.
            with np.errstate(all="ignore"):
                values = _import_node(ctx, node)
            for name, value in zip(node.outputs, values, strict=False):
                if name and value is not None:
                    ctx.bind(name, value)
            for slot, name in enumerate(node.outputs):
                if ctx.wanted(node, slot) and not ctx.known(name):
                    raise NodeError(f"its output {slot} ('{name}') is not supported, or the file is not valid ONNX")
        except _Silent:
            pass
        except NodeError as error:
            self.problems.append(_problem(ctx, proto, label, str(error)))
        for name in proto.output:
            if name and not ctx.known(name):
                ctx.bind(name, BROKEN)

    def _parse(self, index: int, label: str) -> OnnxNode:
        import onnx

        from fewbins.importers.operators import OPERATORS
        from fewbins.importers.problems import NodeError
        from fewbins.importers.values import OnnxNode, attribute_value

        proto = self.file.proto.graph.node[index]
        if proto.domain not in ("", "ai.onnx"):
            raise NodeError(f"its domain '{proto.domain}' is not supported; export with ONNX's default operators")
        entry = OPERATORS.get(proto.op_type)
        if entry is None:
            raise NodeError("the operator is not supported; replace it or cut it off the network (docs/onnx.md)")
        try:
            schema = onnx.defs.get_schema(proto.op_type, self.file.opset, "")
        except onnx.defs.SchemaError as error:
            raise NodeError(f"opset {self.file.opset} has no such operator; the file is not valid ONNX") from error
        if schema.deprecated or schema.since_version not in entry.versions:
            raise NodeError(
                f"its form of opset {schema.since_version} is not supported; convert the model with "
                "onnx.version_converter"
            )
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            if attribute.name not in schema.attributes:
                raise NodeError(f"attribute '{attribute.name}' is unknown in opset {self.file.opset}")
            try:
                attributes[attribute.name] = attribute_value(attribute)
            except ValueError as error:
                raise NodeError(f"attribute '{attribute.name}' cannot be read; the file is not valid ONNX") from error
        return OnnxNode(proto.op_type, label, schema.since_version, tuple(proto.input), tuple(proto.output), attributes)

    def _outputs(self, ctx: Context) -> list[str]:
        from fewbins.importers.values import Constant

        outputs = [output.name for output in self.file.proto.graph.output]
        if not outputs:
            raise ModelFileError(f"{self.file.source}: the graph has no outputs")
        for name in outputs:
            if not ctx.known(name):
                raise ModelFileError(f"{self.file.source}: nothing writes the output '{name}'")
            if isinstance(ctx.value(name), Constant):
                self.problems.append(f"output '{name}' does not depend on any input's values; remove it")
        if len(set(outputs)) != len(outputs):
            raise ModelFileError(f"{self.file.source}: an output is listed twice: {', '.join(outputs)}")
        return outputs


class _Silent(Exception):
    """The node reads what another node failed to make; that one is reported, not this one."""


def _import_node(ctx: Context, node: OnnxNode) -> Sequence[Any]:
    from fewbins.importers.operators import OPERATORS
    from fewbins.importers.problems import NodeError
    from fewbins.importers.values import Activation, Constant

    entry = OPERATORS[node.op]
    values = [ctx.value(name) if name else None for name in node.inputs]
    run_time = any(isinstance(value, Activation) for value in values)
    try:
        if entry.fold is not None and not run_time:
            folded = entry.fold(node, [value if isinstance(value, Constant) else None for value in values])
            return [value if isinstance(value, Constant) else Constant(np.asarray(value)) for value in folded]
        if entry.lower is None:
            raise NodeError("is supported on constants and shapes only, not on values computed at run time")
        return entry.lower(ctx, node)
    except FewbinsError as error:
        # Attributes that make no sense are refused by the canonical operators' own classes.
        if isinstance(error, ModelFileError | UnsupportedError | OSError | ArgumentError):
            raise
        raise NodeError(str(error)) from error
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        # NumPy's refusal of constants whose shapes or types do not fit; the file is not valid ONNX.
        raise NodeError(f"cannot be computed ({str(error).splitlines()[0] if str(error) else error})") from error


def _problem(ctx: Context, proto: onnx.NodeProto, label: str, reason: str) -> str:
    from fewbins.importers.problems import show_shape
    from fewbins.importers.values import Activation, Constant

    shapes = []
    for name in proto.input:
        value = ctx.value(name) if name else None
        shapes.append(show_shape(value.shape) if isinstance(value, Activation | Constant) else "?" if name else "none")
    return f"{proto.op_type} '{label}' (inputs {', '.join(shapes) or 'none'}): {reason}"


def _file_dims(info: onnx.ValueInfoProto) -> Shape | None:
    """The shape in the file; "?" for a size that is absent, negative or zero."""
    if not info.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        int(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in info.type.tensor_type.shape.dim
    )


def _bound_sizes(infos: Sequence[onnx.ValueInfoProto], given: Mapping[str, Sequence[Dim]]) -> dict[Dim, Dim]:
    """What the sizes that the file names become through the shapes given for some inputs."""
    bound: dict[Dim, Dim] = {}
    for info in infos:
        if info.name not in given:
            continue
        dims, wanted = _file_dims(info), tuple(given[info.name])
        if not all(_is_size(size) for size in wanted):
            raise ArgumentError(f"input_shapes: {wanted} of '{info.name}' must be numbers >= 1 or names of free sizes")
        if dims is not None and len(dims) != len(wanted):
            raise ShapeError(f"input_shapes: '{info.name}' has rank {len(dims)} in the file, not {len(wanted)}")
        for old, new in zip(dims or (), wanted, strict=False):
            if isinstance(old, str) and not old.startswith("?") and bound.setdefault(old, new) != new:
                raise ShapeError(f"input_shapes: the size '{old}' cannot be both {bound[old]} and {new}")
    return bound


def _is_size(size: object) -> bool:
    if isinstance(size, int) and not isinstance(size, bool):
        return size >= 1
    return isinstance(size, str) and size != ""


def _named(tensor: str, dims: Shape, names: Names) -> Shape:
    """The shape with a name of its own for each unknown size, so that sizes derived from it can be compared."""
    usual = FREE_NAMES.get(len(dims), ())
    named: list[Dim] = []
    for axis, size in enumerate(dims):
        if isinstance(size, str) and size.startswith("?"):
            own = f"{tensor}.{axis}"
            size = names.fresh(usual[axis] if axis < len(usual) and usual[axis] not in names else own)
        named.append(size)
    return tuple(named)
