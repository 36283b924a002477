# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models for tests of the importer, and ONNX Runtime to compare with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from fewbins import oracle
from fewbins.graph import Graph
from fewbins.importers import load_onnx

Arrays = dict[str, np.ndarray]


def parse(text: str, opset: int, constants: Mapping[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """A model from ONNX's text form of a graph, such as "(float[N,3] x) => (float[] y) { y = Relu(x) }"."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    for name, data in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(data), name))
    return model


def expected(model: onnx.ModelProto, feed: Arrays) -> Arrays:
    """What ONNX Runtime computes, or ONNX's reference where it does not know the opset or operator yet."""
    names = [output.name for output in model.graph.output]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if "opset" not in str(error) and "Could not find an implementation" not in str(error):
            raise
        # Its BatchNormalization below opset 14 gives other numbers than the operator's text.
        assert all(node.op_type != "BatchNormalization" for node in model.graph.node)
        from onnx.reference import ReferenceEvaluator

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(zip(names, ReferenceEvaluator(model).run(None, feed), strict=True))
    return dict(zip(names, session.run(None, feed), strict=True))


def assert_close(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], tolerance: float, what: str) -> None:
    """Same shapes, and differences within a part of the largest number of the tensor."""
    for name, want in theirs.items():
        got = ours[name]
        assert got.dtype == np.float32, f"{what}: {name} is {got.dtype}"
        assert got.shape == want.shape, f"{what}: {name} has shape {got.shape}, not {want.shape}"
        scale = max(float(np.abs(want).max(initial=0.0)), 1e-6)
        worst = float(np.abs(got - want).max(initial=0.0)) / scale
        assert worst <= tolerance, f"{what}: {name} differs by {worst:.2e} of its largest number"


def check(
    model: onnx.ModelProto,
    feed: Arrays,
    *,
    tolerance: float = 1e-5,
    input_shapes: Mapping[str, Sequence[int | str]] | None = None,
) -> Graph:
    """Import the model and compare the oracle with ONNX Runtime on the feed."""
    graph = load_onnx(model, input_shapes=input_shapes)
    assert_close(oracle.run(graph, feed, trace=False), expected(model, feed), tolerance, "oracle")
    return graph


def operators(graph: Graph) -> list[str]:
    """The canonical operators in order, Unary and Binary by function."""
    return [
        getattr(node.attrs, "function", node.op) if node.op in ("Unary", "Binary") else node.op for node in graph.nodes
    ]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
