# SPDX-License-Identifier: Apache-2.0
"""Parts of a network: cuts by tensor names, nodes that no output needs, inputs that nothing reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import assert_close, expected, normal, parse

import fewbins
from fewbins import oracle
from fewbins.bench.models import run
from fewbins.calibrate.images import read_samples
from fewbins.errors import ArgumentError, ModelFileError, UnsupportedError
from fewbins.importers import load_onnx
from fewbins.importers.onnx_file import read_onnx
from fewbins.importers.part import choose_part, part_as_model


def network(opset: int = 17) -> onnx.ModelProto:
    """Two convolutions and two heads."""
    text = (
        "(float[N,3,8,8] x) => (float[] probs, float[] low) "
        "{ [one] a = Conv(x, w) [act] b = Relu(a) [two] c = Conv(b, v) [pool] d = GlobalAveragePool(c) "
        "[flat] f = Flatten(d) [soft] probs = Softmax(f) [side] low = Sigmoid(b) }"
    )
    return parse(text, opset, {"w": normal(4, 3, 3, 3), "v": normal(5, 4, 3, 3)})


def extracted(model: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    """The part, cut by ONNX's own tool."""
    return onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(inputs, outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs", "nodes"),
    [
        (None, ["c"], ["one", "act", "two"]),
        (["b"], ["c"], ["two"]),
        (["a"], ["probs", "low"], ["act", "two", "pool", "flat", "soft", "side"]),
        (["b"], ["low", "f"], ["two", "pool", "flat", "side"]),
        (None, ["low"], ["one", "act", "side"]),
        (["x"], ["a", "c"], ["one", "act", "two"]),
        (["f"], None, None),
    ],
)
def test_a_part_computes_what_onnx_runtime_gives_for_it(inputs, outputs, nodes) -> None:
    model = network()
    if outputs is None:
        with pytest.raises(ArgumentError, match="inputs: the outputs still depend on 'x'"):
            load_onnx(model, inputs=inputs)
        return
    graph = load_onnx(model, inputs=inputs, outputs=outputs)
    assert [node.name for node in graph.nodes] == nodes
    assert graph.outputs == tuple(outputs)
    assert graph.inputs == tuple(inputs or ["x"])
    part = extracted(model, list(graph.inputs), outputs)
    feed = {
        name: normal(*(2 if isinstance(size, str) else size for size in graph.tensors[name].shape))
        for name in graph.inputs
    }
    assert_close(oracle.run(graph, feed, trace=False), expected(part, feed), 1e-5, "part")


def test_the_shape_of_an_inner_input_is_the_files_the_inferred_or_the_given_one() -> None:
    model = network()
    assert load_onnx(model, inputs=["b"], outputs=["c"]).tensors["b"].shape == ("N", 4, 6, 6)
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, ["B", 4, "H", 6]))
    assert load_onnx(model, inputs=["b"], outputs=["c"]).tensors["b"].shape == ("B", 4, "H", 6)
    graph = load_onnx(model, inputs=["b"], outputs=["c"], input_shapes={"b": (1, 4, 12, 6)})
    assert graph.tensors["b"].shape == (1, 4, 12, 6)


def test_large_constants_are_left_out_of_shape_inference_and_shapes_still_follow_from_them() -> None:
    text = "(float[N,64,4,4] x) => (float[] y) { a = Conv(x, w) b = Reshape(a, s) y = Relu(b) }"
    model = parse(text, 17, {"w": normal(64, 64, 1, 1), "s": np.int64([0, 64, 16])})
    assert load_onnx(model, inputs=["b"]).tensors["b"].shape == ("N", 64, 16)


def test_an_inner_input_without_a_shape_asks_for_one() -> None:
    model = parse(
        "(float[N,3] x) => (float[] y) { a = Mystery.Op(x) y = Relu(a) }".replace("Mystery.Op", "NonZero"), 17
    )
    model.graph.node[0].op_type, model.graph.node[0].domain = "Op", "mystery"
    model.opset_import.append(onnx.helper.make_opsetid("mystery", 1))
    with pytest.raises(UnsupportedError, match=r"shape of 'a' is unknown; give load_onnx\(..., input_shapes="):
        load_onnx(model, inputs=["a"])
    graph = load_onnx(model, inputs=["a"], input_shapes={"a": ("N", 7)})
    assert graph.tensors["a"].shape == ("N", 7)
    assert [node.op for node in graph.nodes] == ["Unary"]


def test_a_split_that_is_cut_through_still_gives_its_other_part() -> None:
    text = "(float[N,4,2,2] x) => (float[] y, float[] z) { a, b = Split<axis = 1>(x) y = Relu(a) z = Add(y, b) }"
    model = parse(text, 11)
    graph = load_onnx(model, inputs=["x", "a"], outputs=["z"])
    feed = {"x": normal(1, 4, 2, 2), "a": normal(1, 2, 2, 2)}
    want = np.maximum(feed["a"], 0) + feed["x"][:, 2:]
    np.testing.assert_array_equal(oracle.run(graph, feed)["z"], want)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": ["prob"]}, "outputs: model has no tensor 'prob'; the nearest names are 'probs'"),
        ({"inputs": ["X2"]}, "inputs: model has no tensor 'X2'; the nearest names are"),
        ({"outputs": ["two"]}, "outputs: 'two' is a node; name a tensor, such as what it writes: 'c'"),
        ({"inputs": ["w"]}, "inputs: 'w' is a constant of model"),
        ({"outputs": []}, r"outputs is \[\]; give one or more names of tensors"),
        ({"outputs": 5}, "outputs is 5; give a list of tensors' names"),
        ({"inputs": [5]}, r"inputs is \[5\]; give a list of tensors' names"),
        ({"outputs": ["c", "c"]}, "outputs: a tensor is named twice: c, c"),
        ({"inputs": ["x", "c"], "outputs": ["low"]}, "inputs: no output depends on 'c'; leave it out"),
        ({"inputs": ["d"], "outputs": ["probs", "low"]}, "inputs: the outputs still depend on 'x'"),
        (
            {"outputs": ["low"], "input_shapes": {"b": (1, 2)}},
            r"input_shapes: the model has no input 'b' \(it has: x\)",
        ),
    ],
)
def test_wrong_names_of_a_cut_are_refused_in_one_line(arguments, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        load_onnx(network(), **arguments)
    assert "\n" not in str(caught.value)


def test_nodes_that_no_output_needs_may_be_of_any_kind() -> None:
    text = (
        "(float[1,3,8,8] x) => (float[] scores) "
        "{ scores = Conv(x, w) flat = Flatten(scores) best, where = TopK(flat, k) }"
    )
    model = parse(text, 17, {"w": normal(2, 3, 1, 1), "k": np.int64([5])})
    model.graph.node[2].op_type = "Mystery"
    x = normal(1, 3, 8, 8)
    graph = load_onnx(model)
    assert [node.op for node in graph.nodes] == ["Conv"]
    model.graph.node.pop()
    assert_close(oracle.run(graph, [x], trace=False), expected(model, {"x": x}), 1e-5, "dead tail")


def test_a_network_can_be_cut_behind_what_is_not_supported_and_before_it() -> None:
    text = "(float[N,3,8,8] x) => (float[] y) { a = Relu(x) b = Mystery(a) c = Neg(b) y = Mystery(c) }"
    model = parse(text.replace("Mystery", "Det"), 17)
    with pytest.raises(UnsupportedError, match=r"cut it off the network with load_onnx\(..., inputs=\[...\], outputs="):
        load_onnx(model)
    graph = load_onnx(model, inputs=["b"], outputs=["c"], input_shapes={"b": ("N", 3)})
    assert [node.attrs.function for node in graph.nodes] == ["neg"]


UNREAD = (
    "(float[N,3,8,8] x, int64[N] length, uint8[N,2] flags, float[N,4] gain, string[N] note) => (float[] y) "
    "{ y = Conv(x, w) z = Cast<to = 1>(length) }"
)


def test_inputs_that_nothing_reads_stay_in_the_signature_and_are_never_asked_for(tmp_path: Path) -> None:
    graph = load_onnx(parse(UNREAD, 17, {"w": normal(2, 3, 1, 1)}))
    assert graph.inputs == ("x",)
    signature = [("length", "tensor(int64)", ["N"]), ("flags", "tensor(uint8)", ["N", 2])]
    signature += [("gain", "tensor(float)", ["N", 4]), ("note", "tensor(string)", ["N"])]
    assert [(one.name, one.type, list(one.shape)) for one in graph.unread] == signature
    x, length = normal(4, 3, 8, 8), np.int64([1, 2, 3, 4])
    assert len(list(read_samples({"x": x, "length": length}, graph))) == 4
    model = fewbins.quantize(graph, {"x": x, "length": length})
    path = tmp_path / "net.fewbins"
    model.save(path)
    assert fewbins.QuantizedModel.load(path).graph.unread == graph.unread
    session = fewbins.Session(path)
    assert [(one.name, one.type, one.shape) for one in session.unread] == signature
    want = session.run(x)
    np.testing.assert_array_equal(session.run({"x": x, "length": length, "note": None}), want)
    np.testing.assert_array_equal(oracle.run(model.graph, {"x": x, "flags": length})["y"], want)
    drop_in = fewbins.InferenceSession(path)
    assert [one.name for one in drop_in.get_inputs()] == ["x", "length", "flags", "gain", "note"]
    (got,) = drop_in.run(None, {"x": x, "length": length})
    np.testing.assert_array_equal(got, want)


def test_an_input_that_only_shape_arithmetic_reads_may_have_any_type() -> None:
    text = "(float[1,3,4] x, int64[1,12] ids) => (float[] y) { s = Shape(ids) r = Reshape(x, s) y = Relu(r) }"
    graph = load_onnx(parse(text, 17))
    assert graph.inputs == ("x",) and [one.name for one in graph.unread] == ["ids"]
    assert graph.tensors["y"].shape == (1, 12)


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        (
            "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)",
            "1 QuantizeLinear, 1 DequantizeLinear",
        ),
        ("q, a, b = DynamicQuantizeLinear(x) c = ConvInteger(q, w, b) y = Cast<to = 1>(c)", "1 DynamicQuantizeLinear"),
        ("q = QLinearConv(x, s, z, w, s, z, s, z) y = DequantizeLinear(q, s, z)", "1 QLinearConv"),
    ],
)
def test_a_quantized_file_gets_one_short_line(nodes: str, kinds: str) -> None:
    many = nodes.replace("y = ", "t = ") + " y = Relu(t)"
    model = parse(
        f"(float[1,3,4,4] x) => (float[] y) {{ {many} }}",
        17,
        {"s": np.float32(1), "z": np.uint8(0), "w": np.uint8([1])},
    )
    with pytest.raises(UnsupportedError, match="model is quantized already") as caught:
        load_onnx(model)
    assert kinds in str(caught.value) and len(str(caught.value)) < 250
    assert "give the float32 model that it was made from" in str(caught.value)


def test_a_quantized_tail_that_no_output_needs_is_no_reason_to_refuse() -> None:
    text = "(float[1,3,4,4] x) => (float[] y) { y = Relu(x) q = QuantizeLinear(y, s, z) }"
    assert len(load_onnx(parse(text, 17, {"s": np.float32(1), "z": np.uint8(0)})).nodes) == 1


def test_a_name_written_twice_is_refused_even_where_nothing_needs_it() -> None:
    model = parse("(float[N,3] x) => (float[] y) { y = Relu(x) t = Neg(x) u = Abs(x) }", 17)
    model.graph.node[2].output[0] = "t"
    with pytest.raises(ModelFileError, match="'t' is written twice"):
        load_onnx(model)


def test_a_part_as_a_file_of_its_own_is_what_other_tools_run() -> None:
    file = read_onnx(network())
    part = part_as_model(file, choose_part(file, ["b"], ["c", "low"], {}))
    assert [tensor.name for tensor in part.graph.initializer] == ["v"]
    b = normal(2, 4, 6, 6)
    graph = load_onnx(network(), inputs=["b"], outputs=["c", "low"])
    assert_close(oracle.run(graph, [b], trace=False), expected(part, {"b": b}), 1e-5, "part")


def test_bench_times_a_part_with_every_engine(tmp_path: Path) -> None:
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "net.onnx")
    rows = run([str(tmp_path / "net.onnx")], ["none"], ["fb_float"], rounds=1, seconds=0.01, outputs=["low"])
    assert [row["engine"] for row in rows] == ["fb_float"] and "failed" not in rows[0]
    with pytest.raises(ArgumentError, match="no tensor 'lo'"):
        run([str(tmp_path / "net.onnx")], ["none"], ["fb_float"], rounds=1, outputs=["lo"])
