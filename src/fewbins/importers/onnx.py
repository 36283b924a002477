# SPDX-License-Identifier: Apache-2.0
"""Import of ONNX models: `load_onnx`, which needs the package onnx only when it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fewbins.checks import check_mapping, check_names, shown
from fewbins.errors import ArgumentError, FewbinsError, UnsupportedError
from fewbins.graph import Dim, Graph

if TYPE_CHECKING:
    import onnx

MAX_MESSAGE = 2000


def load_onnx(
    path: str | os.PathLike[str] | bytes | onnx.ModelProto,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    input_shapes: Mapping[str, Sequence[Dim]] | None = None,
) -> Graph:
    """Read a float32 ONNX model into a graph of canonical operators.

    Args:
        path: an .onnx file, its bytes, or a parsed model. External data is read from the file's folder only.
        inputs: names of tensors that become the graph's inputs, to leave out what is before them; the file's inputs by
            default. The shape of a tensor inside the network is the file's or ONNX's shape inference's, else
            `input_shapes` has to give it.
        outputs: names of tensors that become the graph's outputs, to leave out what is behind them; the file's outputs
            by default.
        input_shapes: shapes that replace those in the file, by input name: numbers, or names for sizes that stay free.
            Height and width may stay free; a network whose shape arithmetic needs them must have them given here.

    Returns:
        A graph with BatchNormalization kept as nodes and all constants computed. Nodes that no output needs are left
        out, whatever they are; inputs that nothing reads are in `Graph.unread`.

    Raises:
        FileAccessError: the file, or its external data, cannot be read.
        ModelFileError: it is not an ONNX model, it is corrupt, or it exceeds a limit.
        UnsupportedError: the opset or some nodes are not supported; the message names every kind of such nodes.
        ArgumentError, ShapeError: `inputs` or `outputs` name no tensor; `input_shapes` names no input, or contradicts
            itself.

    Example:
        >>> import onnx
        >>> text = '<ir_version: 8, opset_import: ["": 17]> g (float[N,3,H,W] x) => (float[] y) { y = Relu(x) }'
        >>> graph = load_onnx(onnx.parser.parse_model(text), input_shapes={"x": ("N", 3, 48, 192)})
        >>> graph.nodes[0].op, graph.tensors["y"].shape
        ('Unary', ('N', 3, 48, 192))
    """
    check_names("inputs", inputs, "tensors' names")
    check_names("outputs", outputs, "tensors' names")
    check_mapping("input_shapes", input_shapes, "shapes by input name")
    for name, shape in (input_shapes or {}).items():
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise ArgumentError(f"input_shapes: '{name}' is {shown(shape)}; give a list of sizes or names")
    try:
        import onnx as _onnx  # noqa: F401
    except ImportError as error:
        raise UnsupportedError("reading ONNX models needs the package onnx: pip install 'fewbins[onnx]'") from error
    from fewbins.importers.onnx_file import read_onnx
    from fewbins.importers.run import import_model

    try:
        return import_model(read_onnx(path), inputs, outputs, dict(input_shapes or {}))
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
