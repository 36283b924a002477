# SPDX-License-Identifier: Apache-2.0
"""Which part of an ONNX file is imported: the nodes between some tensors, all of them by default.

Nodes that no output needs are left out, so they may be of any kind.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from fewbins.checks import check_names, shown
from fewbins.errors import ArgumentError, ModelFileError, UnsupportedError
from fewbins.importers.onnx_file import OnnxFile

# Constants with fewer elements than this may hold shapes or axes, which ONNX's shape inference wants to see.
SHAPE_ELEMENTS = 1024


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes:
        nodes: indices of its nodes, in the order of the file.
        inputs: what it reads, in the order of the caller, else of the file.
        outputs: names of what it gives.
        unread: inputs of the file that nothing in the part reads.
    """

    nodes: Sequence[int]
    inputs: Sequence[onnx.ValueInfoProto]
    outputs: Sequence[str]
    unread: Sequence[onnx.ValueInfoProto]

    def reads(self, graph: onnx.GraphProto) -> Counter[str]:
        """How many nodes of the part, and outputs, read each tensor."""
        counts = Counter(name for index in self.nodes for name in graph.node[index].input)
        counts.update(self.outputs)
        return counts


def choose_part(
    file: OnnxFile,
    inputs: Sequence[str] | None,
    outputs: Sequence[str] | None,
    input_shapes: Mapping[str, object],
) -> Part:
    """The part of the file between tensors.

    Args:
        file: the model.
        inputs: names of tensors to start from; None for the file's inputs.
        outputs: names of tensors to end at; None for the file's outputs.
        input_shapes: shapes that the caller gives, by name; inputs among them need none in the file.

    Raises:
        ArgumentError: a name that is no tensor of the file, a constant, or missing among `inputs`.
        UnsupportedError: an input inside the network whose shape is unknown.
        ModelFileError: the file's own inputs and outputs make no sense.
    """
    graph = file.proto.graph
    constants = {name for name, _ in file.constants()}
    declared = [info for info in graph.input if info.name not in constants]
    _check_names(file, "input", [info.name for info in declared])
    _check_written_once(file, {info.name for info in declared} | constants)
    ends = [output.name for output in graph.output]
    if outputs is None:
        if not ends:
            raise ModelFileError(f"{file.source}: the graph has no outputs")
        _check_names(file, "output", ends)
    else:
        ends = _given("outputs", outputs)
    tensors = [*(info.name for info in declared), *(name for node in graph.node for name in node.output if name)]
    starts = [info.name for info in declared] if inputs is None else _given("inputs", inputs)
    for what, names in (("inputs", starts if inputs is not None else ()), ("outputs", ends if outputs else ())):
        for name in names:
            _check_tensor(file, what, name, tensors, constants)
    nodes, read = _needed(graph, ends, set() if inputs is None else set(starts))
    missing = [info.name for info in declared if info.name in read and info.name not in starts]
    if missing:
        raise ArgumentError(
            f"inputs: the outputs still depend on '{missing[0]}', an input of the network; name it too, or a tensor "
            "behind it"
        )
    infos = {info.name: info for info in declared}
    inner = [name for name in starts if name not in infos]
    if inner:
        infos.update(_inferred(file, inner, input_shapes))
    if inputs is None:
        used = [info for info in declared if info.name in read]
        unread = [info for info in declared if info.name not in read]
        return Part(nodes, used, ends, unread)
    idle = [name for name in starts if name not in read]
    if idle:
        raise ArgumentError(f"inputs: no output depends on '{idle[0]}'; leave it out")
    return Part(nodes, [infos[name] for name in starts], ends, ())


def part_as_model(file: OnnxFile, part: Part) -> onnx.ModelProto:
    """The part as an ONNX model of its own, for other tools."""
    graph = file.proto.graph
    model = onnx.ModelProto(ir_version=file.proto.ir_version)
    model.opset_import.extend(file.proto.opset_import)
    model.graph.name = graph.name
    model.graph.node.extend(graph.node[index] for index in part.nodes)
    model.graph.input.extend(part.inputs)
    known = {**_inference(file), **{info.name: info for info in (*graph.value_info, *graph.output)}}
    for name in part.outputs:
        bare = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        model.graph.output.append(known.get(name, bare))
    reads = part.reads(graph)
    for name, tensor in file.constants():
        if reads[name]:
            model.graph.initializer.append(onnx.numpy_helper.from_array(file.initializer(tensor, name), name))
    return model


def _check_names(file: OnnxFile, what: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ModelFileError(f"{file.source}: an {what} is listed twice: {', '.join(names)}")


def _check_written_once(file: OnnxFile, known: set[str]) -> None:
    for node in file.proto.graph.node:
        for name in node.output:
            if name and name in known:
                raise ModelFileError(f"{file.source}: '{name}' is written twice; the file is not valid ONNX")
            known.add(name)


def _given(what: str, names: Sequence[str]) -> list[str]:
    given = [names] if isinstance(names, str) else names
    check_names(what, given, "tensors' names")
    if not given or not all(given):
        raise ArgumentError(f"{what} is {shown(names)}; give one or more names of tensors")
    if len(set(given)) != len(given):
        raise ArgumentError(f"{what}: a tensor is named twice: {', '.join(given)}")
    return list(given)


def _check_tensor(file: OnnxFile, what: str, name: str, tensors: Sequence[str], constants: set[str]) -> None:
    if name in tensors:
        return
    if name in constants:
        raise ArgumentError(f"{what}: '{name}' is a constant of {file.source}; name a tensor that is computed")
    nodes = {node.name: node for node in file.proto.graph.node if node.name}
    if name in nodes:
        written = ", ".join(f"'{output}'" for output in nodes[name].output if output)
        raise ArgumentError(f"{what}: '{name}' is a node; name a tensor, such as what it writes: {written}")
    near = difflib.get_close_matches(name, tensors, 3, 0.3) or list(tensors[-3:])
    names = ", ".join(f"'{one}'" for one in near)
    raise ArgumentError(f"{what}: {file.source} has no tensor '{name}'; the nearest names are {names}")


def _needed(graph: onnx.GraphProto, ends: Sequence[str], starts: set[str]) -> tuple[list[int], set[str]]:
    """Indices of the nodes that the ends depend on, up to the starts; and all tensors that they or the ends read."""
    writers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.output:
            writers.setdefault(name, []).append(index)
    needed: set[int] = set()
    read = set(ends)
    left = list(ends)
    while left:
        name = left.pop()
        if name in starts:
            continue
        for index in writers.get(name, ()):
            if index not in needed:
                needed.add(index)
                for other in _reads(graph.node[index]):
                    if other not in read:
                        read.add(other)
                        left.append(other)
    return sorted(needed), read


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, the bodies of If and Loop included, which see the tensors around them."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                yield from _reads(inner)


def _inferred(
    file: OnnxFile, names: Sequence[str], input_shapes: Mapping[str, object]
) -> dict[str, onnx.ValueInfoProto]:
    """Type and shape of tensors inside the network: from the file, else by ONNX's shape inference."""
    graph = file.proto.graph
    found = {info.name: info for info in (*graph.value_info, *graph.output) if info.type.tensor_type.HasField("shape")}
    if any(name not in found for name in names):
        found = {**_inference(file), **found}
    infos = {}
    for name in names:
        info = found.get(name)
        if info is None and name in input_shapes:
            info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        if info is None:
            raise UnsupportedError(
                f"{file.source}: the shape of '{name}' is unknown; give load_onnx(..., input_shapes={{'{name}': ...}})"
            )
        infos[name] = info
    return infos


def _inference(file: OnnxFile) -> dict[str, onnx.ValueInfoProto]:
    light = onnx.ModelProto()
    light.ir_version = file.proto.ir_version
    light.opset_import.extend(file.proto.opset_import)
    graph = file.proto.graph
    light.graph.name = graph.name
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    light.graph.output.extend(graph.output)
    for tensor in graph.initializer:
        count = 1
        for size in tensor.dims:
            count *= size
        if count < SHAPE_ELEMENTS and tensor.data_location != onnx.TensorProto.EXTERNAL:
            light.graph.initializer.append(tensor)
        else:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            if tensor.name not in {given.name for given in graph.input}:
                light.graph.input.append(info)
    try:
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except Exception:  # onnx throws various classes; without its help the caller's shapes are asked for
        return {}
    return {info.name: info for info in inferred.graph.value_info if info.type.tensor_type.HasField("shape")}
