# SPDX-License-Identifier: Apache-2.0
"""ONNX's own tests of single nodes: what comes of each is in onnx_node_tests.txt.

Taken are the tests of one node, of an operator of the importer, whose first input has rank 1 to 4, and whose inputs
have elements, of float32, int32, int64 or bool. `right`: imported with inputs that are known at run time (the first of
float32 alone, all of float32, or all, but no scalars), and right in the oracle and in the engine. `computed`: refused
so, but right where all inputs are constants. `refused`: refused either way. What is wrong fails.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
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
TYPES = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)
ZERO = "zero of the test"
Arrays = dict[str, np.ndarray]


@dataclass
class NodeTest:
    """One of ONNX's tests: the model in each way to import it, what to feed, and what must come out."""

    name: str
    op: str
    at_run_time: list[tuple[onnx.ModelProto, Arrays]]
    as_constants: onnx.ModelProto | None
    outputs: Arrays
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
    types = [info.type.tensor_type for info in graph.input]
    known = all(info.type.tensor_type.elem_type in TYPES for info in (*graph.input, *graph.output))
    if not known or not 1 <= len(types[0].shape.dim) <= 4:
        return None
    inputs, outputs = _data(case)
    if any(value.size == 0 for value in inputs):
        return None
    named = dict(zip((info.name for info in graph.input), inputs, strict=False))
    floats = [
        info.name
        for info, t in zip(graph.input, types, strict=True)
        if t.elem_type == onnx.TensorProto.FLOAT and t.shape.dim
    ]
    every = [info.name for info, t in zip(graph.input, types, strict=True) if t.shape.dim]
    ways = [way for i, way in enumerate((floats[:1], floats, every)) if way not in (floats[:1], floats, every)[:i]]
    return NodeTest(
        case.name,
        graph.node[0].op_type,
        [(_with_inputs(source, named, way), {name: named[name] for name in way}) for way in ways if way],
        _all_constant(source, named, outputs),
        dict(zip((output.name for output in graph.output), outputs, strict=True)),
        case.rtol,
        max(case.atol, 1e-6),
    )


def _with_inputs(source: onnx.ModelProto, values: Arrays, kept: list[str]) -> onnx.ModelProto:
    """The model with these inputs; the others become constants."""
    model = onnx.ModelProto()
    model.CopyFrom(source)
    del model.graph.input[:]
    model.graph.input.extend(info for info in source.graph.input if info.name in kept)
    for name in values.keys() - set(kept):
        model.graph.initializer.append(numpy_helper.from_array(values[name], name))
    return model


def _all_constant(source: onnx.ModelProto, values: Arrays, outputs: list[np.ndarray]) -> onnx.ModelProto | None:
    """The model with constants only; every output leaves it as float32, added to an input of zeros."""
    if any(output.size == 0 for output in outputs):
        return None
    model = _with_inputs(source, values, [])
    graph = model.graph
    graph.input.append(onnx.helper.make_tensor_value_info(ZERO, onnx.TensorProto.FLOAT, [1]))
    for output in graph.output:
        name = output.name
        output.CopyFrom(onnx.helper.make_tensor_value_info(f"{name}/out", onnx.TensorProto.FLOAT, None))
        graph.node.append(onnx.helper.make_node("Cast", [name], [f"{name}/float"], to=onnx.TensorProto.FLOAT))
        graph.node.append(onnx.helper.make_node("Add", [f"{name}/float", ZERO], [output.name]))
    return model


def _data(case: onnx.backend.test.case.test_case.TestCase) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if case.data_sets:
        inputs, outputs = case.data_sets[0]
        return [_array(value) for value in inputs], [_array(value) for value in outputs]
    folder = Path(case.model_dir or "") / "test_data_set_0"

    def arrays(kind: str) -> list[np.ndarray]:
        files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        return [numpy_helper.to_array(onnx.load_tensor(path)) for path in files]

    return arrays("input"), arrays("output")


def _array(value: np.ndarray | onnx.TensorProto) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _listed(kind: str) -> set[str]:
    lines = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return {name for word, name, *_ in lines if word == kind}


def _outcome(test: NodeTest) -> str:
    results = [_result(model, feed, test) for model, feed in test.at_run_time]
    if "wrong" in results or "right" in results:
        return "wrong" if "wrong" in results else "right"
    if test.as_constants is None:
        return "refused"
    feed = {ZERO: np.zeros(1, np.float32)}
    wanted = {f"{name}/out": np.atleast_1d(want).astype(np.float32) for name, want in test.outputs.items()}
    computed = _result(test.as_constants, feed, replace(test, outputs=wanted))
    return "computed" if computed == "right" else computed


def _result(model: onnx.ModelProto, feed: Arrays, test: NodeTest) -> str:
    try:
        graph = load_onnx(model)
    except FewbinsError as error:
        assert "\n" not in str(error)
        return "refused"
    return "wrong" if _wrong(test, oracle.run(graph, feed, trace=False)) else "right"


def _wrong(test: NodeTest, ours: Arrays) -> str:
    for name, want in test.outputs.items():
        if ours[name].shape != want.shape or ours[name].dtype != want.dtype:
            return f"{test.name}: {ours[name].dtype} {ours[name].shape}, not {want.dtype} {want.shape}"
        if not np.allclose(ours[name], want, rtol=test.rtol, atol=test.atol, equal_nan=True):
            return f"{test.name}: differs by {np.abs(ours[name].astype(float) - want).max()}"
    return ""


def test_every_node_test_comes_out_as_listed(node_tests: dict[str, NodeTest]) -> None:
    listed = {name: outcome for outcome in ("right", "computed", "refused") for name in _listed(outcome)}
    outcomes = {name: _outcome(test) for name, test in node_tests.items()}
    surprises = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome == "wrong" or listed.get(name, outcome) != outcome
    }
    assert not surprises


def test_the_lists_are_complete_and_at_least_130_are_right(node_tests: dict[str, NodeTest]) -> None:
    lists = [_listed(outcome) for outcome in ("right", "computed", "refused")]
    assert len(lists[0]) >= 130
    assert sum(map(len, lists)) == len(set().union(*lists))
    if f"onnx {onnx.__version__}" in LIST.read_text():
        assert set().union(*lists) == set(node_tests)
    else:
        # Another version of onnx has other tests; most of ours must be among them.
        assert len(lists[0] & set(node_tests)) >= 130


def test_the_engine_is_right_wherever_the_importer_is(node_tests: dict[str, NodeTest]) -> None:
    wrong = [error for name in sorted(_listed("right") & set(node_tests)) for error in _engine_errors(node_tests[name])]
    assert not wrong


def _engine_errors(test: NodeTest) -> list[str]:
    import fewbins

    errors = []
    for model, feed in test.at_run_time:
        try:
            graph: Graph = load_onnx(model)
        except FewbinsError:
            continue
        session = fewbins.Session(fewbins.quantize(graph, scheme="float").to_bytes())
        result = session.run({name: feed[name] for name in graph.inputs})
        errors.append(_wrong(test, result if isinstance(result, dict) else {graph.outputs[0]: result}))
    return [error for error in errors if error]
