# SPDX-License-Identifier: Apache-2.0
"""One run of the importer: an ONNX file to a graph of canonical operators.

The nodes are taken in order. Each value is a constant, a shape value that may hold free sizes, or an activation;
operators on the first two are computed at once, the others become canonical nodes (docs/onnx.md has the table). What
cannot be imported is collected over the whole file and reported in one error. Spelled-out activations (hard-swish,
SiLU, GELU) are recognized at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import onnx

from fewbins.errors import ArgumentError, FewbinsError, ModelFileError, UnsupportedError, warn
from fewbins.graph import Dim, Graph, Names, Shape, UnreadInput
from fewbins.importers.context import Context, node_label
from fewbins.importers.forms import read_node
from fewbins.importers.free_sizes import typed
from fewbins.importers.inputs import bound_sizes, file_dims, named_sizes, runtime_type, type_name
from fewbins.importers.normalizations import recognize_normalizations
from fewbins.importers.onnx_file import OnnxFile
from fewbins.importers.operators import OPERATORS
from fewbins.importers.operators.heads import TYPES
from fewbins.importers.operators.reshaping import reshape
from fewbins.importers.part import Part, choose_part
from fewbins.importers.patterns import recognize_activations
from fewbins.importers.problems import NodeError, Problem, grouped, refuse_quantized, show_shape
from fewbins.importers.sizes import product
from fewbins.importers.strided import StridedView, strided_views
from fewbins.importers.values import BROKEN, Activation, Constant, OnnxNode
from fewbins.passes.channels_first import keep_channels_first
from fewbins.passes.one_row import keep_rows

# Heights and widths that networks are usually made for: whether fixing the free sizes helps is tried with them.
USUAL_SIZES = (224, 256, 64, 32)

InputShapes = Mapping[str, Sequence[Dim]]


def import_model(
    file: OnnxFile, inputs: Sequence[str] | None, outputs: Sequence[str] | None, input_shapes: InputShapes
) -> Graph:
    """Import a part of a file; the arguments are those of `load_onnx`."""
    run = _Import(file, choose_part(file, inputs, outputs, input_shapes))
    graph = run.graph(input_shapes)
    if graph is None:
        lines = grouped(run.problems)
        cure = _cure(run)
        raise UnsupportedError(f"{file.source} cannot be imported", [*lines, cure] if cure else lines)
    return graph.validate()


# What stands for a whole kind of networks, and what to do with those.
CONTROL = "control flow is not supported; export the network with its branches and loops decided, as by tracing it"
RECURRENT = "recurrent layers are not supported; take a network of convolutions"
KINDS = dict.fromkeys(("If", "Loop", "Scan"), CONTROL) | dict.fromkeys(("LSTM", "GRU", "RNN"), RECURRENT)


class _Import:
    """One walk over the nodes.

    Attributes:
        problems: what cannot be imported.
        shapes: of the inputs, after the caller's have replaced the file's.
    """

    def __init__(self, file: OnnxFile, part: Part) -> None:
        self.file = file
        self.part = part
        self.problems: list[Problem] = []
        self.shapes: dict[str, Shape] = {}

    def graph(self, input_shapes: InputShapes) -> Graph | None:
        """The graph; None where there are problems."""
        proto, part = self.file.proto.graph, self.part
        refuse_quantized(self.file.source, [proto.node[index] for index in part.nodes])
        ctx = Context(self.file, part.reads(proto))
        self._inputs(ctx, input_shapes)
        starts = {info.name for info in part.inputs}
        views = strided_views(self.file)
        needless = {index for view in views.values() for index in view.indices}
        for index in part.nodes:
            if index in views:
                self._view(ctx, index, views[index])
            elif index not in needless:
                self._node(ctx, index, starts)
        self._outputs(ctx)
        if self.problems:
            self.problems[:0] = self._other_types(starts)
            return None
        graph = recognize_activations(ctx.finish(part.outputs, proto.name)).prune()
        graph = recognize_normalizations(graph).prune()
        graph = keep_channels_first(keep_rows(graph))
        _warn_of_names([info.name for info in (*part.inputs, *part.unread)], graph.inputs)
        _warn_of_names(part.outputs, graph.outputs)
        graph = self._without_unread(graph)
        self.problems += self._other_types(graph.inputs)
        return None if self.problems else graph

    def _inputs(self, ctx: Context, given: InputShapes) -> None:
        infos = [*self.part.inputs, *self.part.unread]
        names = [info.name for info in infos]
        for name in given:
            if name not in names:
                raise ArgumentError(f"input_shapes: the model has no input '{name}' (it has: {', '.join(names)})")
        sizes = bound_sizes(infos, given)
        taken = Names(size for info in infos for size in file_dims(info) or () if isinstance(size, str))
        for info in infos:
            dims = file_dims(info) if info.name not in given else tuple(given[info.name])
            if dims is None and info in self.part.inputs:
                raise UnsupportedError(
                    f"{self.file.source}: input '{info.name}' has no shape; give load_onnx(..., input_shapes=...)"
                )
            shape = named_sizes(info.name, tuple(sizes.get(size, size) for size in dims or ()), taken)
            self.shapes[info.name] = shape
            ctx.add_input(info.name, shape, TYPES.get(info.type.tensor_type.elem_type, "float32"))

    def _other_types(self, names: Sequence[str] | Set[str]) -> list[Problem]:
        """Inputs of a type that no tensor has, among those that are read."""
        return [
            Problem("input", info.name, f"is {type_name(info)}; an input is one of {', '.join(TYPES.values())}")
            for info in self.part.inputs
            if info.name in names and info.type.tensor_type.elem_type not in TYPES
        ]

    def _without_unread(self, graph: Graph) -> Graph:
        """The graph without the inputs that none of its nodes reads: dead nodes did, or shape arithmetic."""
        infos = dict(zip(graph.inputs, (*self.part.inputs, *self.part.unread), strict=True))
        read = [name for name in graph.inputs if graph.use_count(name)]
        unread = [
            UnreadInput(name, runtime_type(infos[name]), graph.tensors[name].shape)
            for name in graph.inputs
            if name not in read
        ]
        return graph.replace(inputs=read, unread=unread).prune()

    def _node(self, ctx: Context, index: int, starts: Set[str]) -> None:
        proto = self.file.proto.graph.node[index]
        for name in proto.input:
            if name and not ctx.known(name):
                raise ModelFileError(
                    f"{self.file.source}: node '{proto.name}' ({proto.op_type}) reads '{name}', which nothing before "
                    "it writes; the file is not valid ONNX"
                )
        label = node_label(proto, index)
        try:
            node = self._parse(proto, label)
            if any(ctx.value(name) is BROKEN for name in node.inputs if name):
                raise _Silent
            # Infinities and NaN in a network's constants are its own affair here, not worth a warning.
            with np.errstate(all="ignore"):
                values = _import_node(ctx, node)
            for name, value in zip(node.outputs, values, strict=False):
                if name and value is not None and name not in starts:
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

    def _parse(self, proto: onnx.NodeProto, label: str) -> OnnxNode:
        if proto.domain not in ("", "ai.onnx"):
            raise NodeError(f"its domain '{proto.domain}' is not supported; export with ONNX's default operators")
        entry = OPERATORS.get(proto.op_type)
        if entry is None:
            kind = KINDS.get(proto.op_type, "the operator is not supported; replace it")
            raise NodeError(f"{kind}, or cut it off the network with load_onnx(..., inputs=[...], outputs=[...])")
        return read_node(proto, label, self.file.opset, entry.versions)

    def _view(self, ctx: Context, index: int, view: StridedView) -> None:
        """Import a Gather that is a Reshape."""
        nodes = self.file.proto.graph.node
        proto, value = nodes[index], ctx.value(view.source)
        for needless in view.indices:
            ctx.bind(nodes[needless].output[0], BROKEN)
        node = OnnxNode("Gather", node_label(proto, index), 1, (view.source, view.batch), tuple(proto.output), {})
        try:
            batch = ctx.sizes(node, 1, "the number of indices")
            if isinstance(value, Activation) and batch is not None:
                sizes, target = ctx.sizes_of(value), [*batch, *view.sizes]
                if len(batch) != 1 or batch[0] != sizes[0] or product(target) != product(sizes):
                    raise NodeError(f"takes {show_shape(target)} elements of {show_shape(sizes)} by their place")
                value = reshape(ctx, node, value, target)
        except NodeError as error:
            self.problems.append(_problem(ctx, proto, node.name, str(error)))
            value = BROKEN
        ctx.bind(proto.output[0], value)

    def _outputs(self, ctx: Context) -> None:
        for name in self.part.outputs:
            if not ctx.known(name):
                raise ModelFileError(f"{self.file.source}: nothing writes the output '{name}'")
            value = ctx.value(name)
            if isinstance(value, Activation) and value.integer:
                self.problems.append(
                    Problem("output", name, "is of an integer type; cast it to float32 in the network")
                )
            if isinstance(value, Constant):
                self.problems.append(Problem("output", name, "does not depend on any input's values; remove it"))


def _warn_of_names(before: Sequence[str], after: Sequence[str]) -> None:
    """Warn of inputs and outputs that a model file cannot hold by their names: callers use these."""
    for name, new in zip(before, after, strict=True):
        if name != new:
            warn(f"a model file cannot hold the name '{_short(name)}'; the tensor is called '{_short(new)}'")


def _short(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 60 else f"{text[:30]}...{text[-27:]}"


class _Silent(Exception):
    """The node reads what another node failed to make; that one is reported, not this one."""


def _import_node(ctx: Context, node: OnnxNode) -> Sequence[Any]:
    entry = OPERATORS[node.op]
    values = [ctx.value(name) if name else None for name in node.inputs]
    run_time = any(isinstance(value, Activation) for value in values)
    free = any(isinstance(value, Constant) and value.symbolic for value in values)
    try:
        if entry.grid is not None and free and not run_time:
            return entry.grid(ctx, node)
        if entry.fold is not None and not run_time:
            folded = entry.fold(node, [value if isinstance(value, Constant) else None for value in values])
            return [value if isinstance(value, Constant) else Constant(np.asarray(value)) for value in folded]
        if entry.lower is None:
            raise NodeError("is supported on constants and shapes only, not on values computed at run time")
        return typed(ctx, node, entry.lower(ctx, node))
    except FewbinsError as error:
        # Attributes that make no sense are refused by the canonical operators' own classes.
        if isinstance(error, ModelFileError | UnsupportedError | OSError | ArgumentError):
            raise
        raise NodeError(str(error)) from error
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        # NumPy's refusal of constants whose shapes or types do not fit; the file is not valid ONNX.
        raise NodeError(f"cannot be computed ({str(error).splitlines()[0] if str(error) else error})") from error


def _problem(ctx: Context, proto: onnx.NodeProto, label: str, reason: str) -> Problem:
    values = [ctx.value(name) if name else None for name in proto.input]
    shapes = [value.shape if isinstance(value, Activation | Constant) else None for value in values]
    texts = [
        show_shape(shape) if shape is not None else "?" if name else "none"
        for shape, name in zip(shapes, proto.input, strict=True)
    ]
    known = proto.op_type in OPERATORS  # sizes say nothing about the others
    free = known and any(isinstance(size, str) for shape in shapes for size in shape or ())
    return Problem(proto.op_type, label, reason, ", ".join(texts) or "none", free)


def _cure(failed: _Import) -> str:
    """What to say where fixed sizes would let more be imported: this is tried, with sizes that are usual."""
    if not any(problem.free for problem in failed.problems):
        return ""
    for size in _fixed_shapes(failed):
        again = _Import(failed.file, failed.part)
        try:
            done = again.graph(size) is not None
        except FewbinsError:
            continue
        if len(again.problems) < len(failed.problems):
            text = ", ".join(f"'{name}': {tuple(shape)}" for name, shape in size.items())
            left = "it" if done else f"{len(failed.problems) - len(again.problems)} of these"
            return (
                f"with fixed sizes {left} can be imported: give those that the network was made for, as in "
                f"load_onnx(..., input_shapes={{{text}}})"
            )
    return "some sizes are free; where the network was made for fixed ones, give load_onnx(..., input_shapes=...)"


def _fixed_shapes(failed: _Import) -> Iterator[dict[str, tuple[Dim, ...]]]:
    """Shapes of the inputs with a free height and width fixed, then with the batch fixed too."""
    free = {name: shape for name, shape in failed.shapes.items() if any(isinstance(size, str) for size in shape)}
    for keep_batch in (True, False):
        for usual in USUAL_SIZES:
            yield {
                name: tuple(
                    size if isinstance(size, int) or (keep_batch and axis == 0) else 1 if axis == 0 else usual
                    for axis, size in enumerate(shape)
                )
                for name, shape in free.items()
            }
