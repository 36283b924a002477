# SPDX-License-Identifier: Apache-2.0
"""ONNX's own tests of single nodes: each is imported and right, or refused; both lists are in onnx_node_tests.txt.

Taken are the tests of one node whose first input is float32 of rank 4, for every operator of the importer. Their later
inputs become initializers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fewbins import oracle
from fewbins.errors import FewbinsError
from fewbins.graph import Graph
from fewbins.importers import load_onnx
from fewbins.importers.operators import OPERATORS

LIST = Path(__file__).parent / "onnx_node_tests.txt"


@dataclass
class NodeTest:
    """One of ONNX's tests."""

    name: str
    model: onnx.ModelProto
    x: np.ndarray
    outputs: dict[str, np.ndarray]
    rtol: float
    atol: float


@pytest.fixture(scope="module")
def node_tests() -> dict[str, NodeTest]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    return {case.name: made for case in cases if (made := _node_test(case)) is not None}


def _node_test(case: onnx.backend.test.case.test_case.TestCase) -> NodeTest | None:
    # onnx before 1.21 has files, later ones make the models when asked.
    source = case.model or onnx.load(Path(case.model_dir or "") / "model.onnx")
    graph = source.graph
    if len(graph.node) != 1 or not graph.input or graph.node[0].op_type not in OPERATORS:
        return None
    first = graph.input[0].type.tensor_type
    if first.elem_type != onnx.TensorProto.FLOAT or len(first.shape.dim) != 4:
        return None
    inputs, outputs = _data(case)
    model = onnx.ModelProto()
    model.CopyFrom(source)
    for info, value in zip(graph.input[1:], inputs[1:], strict=False):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), info.name))
    del model.graph.input[1:]
    named = dict(zip((output.name for output in graph.output), outputs, strict=True))
    return NodeTest(case.name, model, inputs[0], named, case.rtol, max(case.atol, 1e-6))


def _data(case: onnx.backend.test.case.test_case.TestCase) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if case.data_sets:
        inputs, outputs = case.data_sets[0]
        return list(inputs), list(outputs)
    folder = Path(case.model_dir or "") / "test_data_set_0"

    def arrays(kind: str) -> list[np.ndarray]:
        files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        return [numpy_helper.to_array(onnx.load_tensor(path)) for path in files]

    return arrays("input"), arrays("output")


def _listed(kind: str) -> set[str]:
    lines = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return {name for word, name, *_ in lines if word == kind}


def _outcome(test: NodeTest) -> str:
    try:
        graph = load_onnx(test.model)
    except FewbinsError as error:
        assert "\n" not in str(error)
        return "refused"
    return "right" if _wrong(test, oracle.run(graph, {graph.inputs[0]: test.x}, trace=False)) == "" else "wrong"


def _wrong(test: NodeTest, ours: dict[str, np.ndarray]) -> str:
    for name, want in test.outputs.items():
        if ours[name].shape != want.shape:
            return f"{test.name}: shape {ours[name].shape}, not {want.shape}"
        if not np.allclose(ours[name], want, rtol=test.rtol, atol=test.atol):
            return f"{test.name}: differs by {np.abs(ours[name] - want).max()}"
    return ""


def test_every_node_test_is_right_or_refused_as_listed(node_tests: dict[str, NodeTest]) -> None:
    right, refused = _listed("right"), _listed("refused")
    outcomes = {name: _outcome(test) for name, test in node_tests.items()}
    surprises = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome == "wrong" or (name in right and outcome != "right") or (name in refused and outcome != "refused")
    }
    assert not surprises


def test_the_lists_are_complete_and_at_least_70_are_right(node_tests: dict[str, NodeTest]) -> None:
    right, refused = _listed("right"), _listed("refused")
    assert len(right) >= 70
    assert not right & refused
    if f"onnx {onnx.__version__}" in LIST.read_text():
        assert right | refused == set(node_tests)
    else:
        # Another version of onnx has other tests; most of ours must be among them.
        assert len(right & set(node_tests)) >= 70


def test_the_engine_is_right_wherever_the_importer_is(node_tests: dict[str, NodeTest]) -> None:
    wrong = [error for name in sorted(_listed("right") & set(node_tests)) if (error := _engine_error(node_tests[name]))]
    assert not wrong


def _engine_error(test: NodeTest) -> str:
    import fewbins

    graph: Graph = load_onnx(test.model)
    session = fewbins.Session(fewbins.quantize(graph, scheme="float").to_bytes())
    result = session.run(test.x)
    return _wrong(test, result if isinstance(result, dict) else {graph.outputs[0]: result})
