# SPDX-License-Identifier: Apache-2.0
"""The recipe: what the quantized graph looks like, what is refused, and what bias correction is for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import DIGITS, digits, images

import fewbins
from fewbins import oracle
from fewbins.quantize import prepare

GRAPH = fewbins.load_onnx(DIGITS)


def network(nodes, constants, shape=("n", 3, 8, 8), out=("n", 4, "h", "w")) -> fewbins.Graph:
    """A graph from ONNX nodes; the input is "x", the output "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return fewbins.load_onnx(model)


def conv(x, y, weight, bias=None, **attributes) -> onnx.NodeProto:
    return helper.make_node("Conv", [x, weight, *([bias] if bias else [])], [y], name=y, **attributes)


@pytest.mark.parametrize(
    "scheme", ["8bit", "255x33", "23x23", "4bit", "8bit:fixed", "8bit:shift", "lut4", "w15", "8bit:tensor"]
)
def test_the_oracle_runs_what_was_built_near_the_float_network(scheme):
    x = images(8)
    want = fewbins.Session(digits("float")).run(x)
    got = oracle.run(digits(scheme).graph, {GRAPH.inputs[0]: x})[GRAPH.outputs[0]]
    noise = ((got - want) ** 2).sum() / (want**2).sum()
    assert noise < (0.2 if scheme == "4bit" else 0.05)


def test_everything_of_the_digits_network_is_integer():
    graph = digits("8bit").graph
    assert {node.op for node in graph.nodes} == {"Quantize", "Conv", "MaxPool", "Reduce", "Reshape", "Gemm"}
    assert {node.attrs.requantize.kind for node in graph.nodes if node.op == "Conv"} == {"float"}
    assert graph.tensors[graph.outputs[0]].dtype == "float32"


def test_relu_costs_no_levels():
    """A fused ReLU narrows lo' to the zero point, which is the lowest level of a range that starts at 0."""
    graph = digits("8bit").graph
    node = next(n for n in graph.nodes if n.op == "Conv")
    affine = graph.tensors[node.output].affine
    assert affine.zero_point == affine.levels.lo == node.attrs.requantize.lo


def test_a_pool_keeps_its_inputs_scale():
    graph = digits("8bit").graph
    node = next(n for n in graph.nodes if n.op == "MaxPool")
    assert graph.tensors[node.output].affine == graph.tensors[node.inputs[0]].affine


def test_overrides_reach_their_layers_only():
    graph = digits("23x23,first=8bit,last=8bit").graph
    bins = [graph.tensors[n.params["weight"]].affine.levels.bins for n in graph.nodes if "weight" in n.params]
    assert bins[0] == bins[-1] == 255 and set(bins[1:-1]) == {23}


def test_shift_leaves_only_powers_of_two():
    graph = digits("8bit:shift").graph
    for tensor in graph.tensors.values():
        if tensor.affine is not None:
            mantissa, _ = np.frexp(np.asarray(tensor.affine.scale))
            assert (mantissa == 0.5).all(), tensor.name


def test_float_layers_stay_float_between_integer_ones():
    name = [n.name for n in prepare(GRAPH).nodes if n.op == "Conv"][1]
    graph = digits(f'8bit,"{name}"=float').graph
    node = graph.node(name)
    assert node.attrs.requantize is None and graph.tensors[node.params["weight"]].dtype == "float32"


def test_float_needs_no_images_and_changes_nothing():
    x = images(4)
    want = oracle.run(GRAPH, {GRAPH.inputs[0]: x})[GRAPH.outputs[0]]
    got = fewbins.Session(fewbins.quantize(GRAPH, scheme="float")).run(x)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_dead_channels_get_a_scale_that_their_bias_fits():
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32)
    weight[1], weight[2] = 0.0, 1e-39
    bias = np.float32([0.1, 5.0, -3.0, 0.0])
    graph = network([conv("x", "y", "w", "b")], {"w": weight, "b": bias})
    x = np.random.default_rng(1).standard_normal((16, 3, 8, 8)).astype(np.float32)
    model = fewbins.quantize(graph, x, bias_correction=False)
    assert model.rows[0]["raised_channels"] == 2
    y = fewbins.Session(model).run(x)
    np.testing.assert_allclose(y[:, 1], 5.0, rtol=1e-5)
    np.testing.assert_allclose(y[:, 2], -3.0, rtol=1e-5)


def test_bias_correction_gives_channels_their_mean_back():
    """Few bins shift the means of a layer; what is compared is the output behind the activation, on the same images."""
    x = images(64)
    want = fewbins.Session(digits("float")).run(x).mean(0)
    errors = {}
    for on in (False, True):
        model = fewbins.quantize(GRAPH, x, scheme="23x15", bias_correction=on)
        errors[on] = float(np.abs(fewbins.Session(model).run(x).mean(0) - want).max())
    assert errors[True] < 0.5 * errors[False], errors


def test_bias_correction_of_a_dead_channel_stays_within_what_its_scale_can_say():
    """Its scale fits a bias of 1e-6; the residual's rounding at three bins asks for far more."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 4, 1, 1)).astype(np.float32)
    weight[1] = 0
    nodes = [conv("x", "b", "w", "tiny"), helper.make_node("Add", ["b", "x"], ["c"]), conv("c", "y", "w")]
    graph = network(nodes, {"w": weight, "tiny": np.full(4, 1e-6, np.float32)}, shape=("n", 4, 8, 8))
    x = rng.uniform(0, 1, (16, 4, 8, 8)).astype(np.float32) ** 4
    model = fewbins.quantize(graph, x, scheme="3x3")
    layer = model.graph.node("b")
    assert len(layer.inputs) == 2
    assert 0 < abs(int(model.graph.constant(layer, "bias")[1])) <= 2**30


def test_u4_beyond_its_depth_is_refused_with_the_layers_name():
    weight = np.ones((4, 292, 1, 1), np.float32)
    graph = network([conv("x", "y", "w")], {"w": weight}, shape=("n", 292, 2, 2))
    with pytest.raises(fewbins.SchemeError, match=r"291.*'y'"):
        fewbins.quantize(graph, np.ones((2, 292, 2, 2), np.float32), scheme="u4")


def test_an_accumulator_that_may_overflow_is_refused_with_the_layers_name():
    weight = np.ones((1, 70_000, 1, 1), np.float32)
    graph = network([conv("x", "y", "w")], {"w": weight}, shape=("n", 70_000, 1, 1), out=("n", 1, "h", "w"))
    x = np.random.default_rng(0).uniform(0, 1, (2, 70_000, 1, 1)).astype(np.float32)
    with pytest.raises(fewbins.CalibrationError, match="y"):
        fewbins.quantize(graph, x)


@pytest.mark.parametrize("scheme", ["9bit", "8bit,nothing=4bit", "255x33:asym", ""])
def test_a_scheme_that_does_not_fit_is_refused_before_calibration(scheme):
    def never():
        raise AssertionError("the images were read")

    with pytest.raises(fewbins.SchemeError):
        fewbins.quantize(GRAPH, never, scheme=scheme)


def test_a_model_survives_its_file(tmp_path):
    prepare_images = fewbins.Preprocessing(size=(8, 8), channels="GRAY", mean=(0.0,), std=(255.0,))
    labels = [f"digit {k}" for k in range(10)]
    model = fewbins.quantize(GRAPH, images(), scheme="255x33", preprocessing=prepare_images, labels=labels)
    model.save(tmp_path / "m.fewbins")
    loaded = fewbins.QuantizedModel.load(tmp_path / "m.fewbins")
    assert (loaded.scheme, loaded.preprocessing, list(loaded.labels)) == ("255x33", prepare_images, labels)
    assert loaded.to_bytes() == model.to_bytes() == (tmp_path / "m.fewbins").read_bytes()
    assert "255x33" in loaded.report()


@pytest.mark.parametrize(
    "scheme", ["float", "8bit", "255x33", "23x23", "u4:shift", "lut4:po2", "w15:asym", "4bit:fixed"]
)
def test_every_kind_of_scheme_survives_its_file(scheme):
    model = digits(scheme)
    again = fewbins.QuantizedModel.from_bytes(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()


def test_fewer_bins_make_a_smaller_file():
    sizes = [len(digits(scheme).to_bytes()) for scheme in ("float", "8bit", "255x33", "23x23", "255x3")]
    assert sizes == sorted(sizes, reverse=True)


def test_an_imported_graph_quantizes_without_onnx_or_pillow(tmp_path):
    """The base install is enough once the graph is there."""
    import pickle

    (tmp_path / "graph.pickle").write_bytes(pickle.dumps({"bytes": digits("float").to_bytes()}))
    code = f"""
import pickle, sys
for name in ("onnx", "onnxruntime", "PIL", "sklearn", "scipy", "torch", "hypothesis"):
    sys.modules[name] = None
import numpy as np, fewbins
float_model = fewbins.QuantizedModel.from_bytes(pickle.load(open({str(tmp_path / "graph.pickle")!r}, "rb"))["bytes"])
x = np.random.default_rng(0).uniform(0, 1, (16, 1, 8, 8)).astype(np.float32)
print(fewbins.Session(fewbins.quantize(float_model.graph, x, scheme="23x23")).run(x).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(16, 10)"


def silent_network():
    """Its first layer gives nothing but zeros."""
    nodes = [conv("x", "a", "zero"), helper.make_node("Relu", ["a"], ["r"]), conv("r", "y", "w")]
    weights = {"zero": np.zeros((4, 3, 1, 1), np.float32), "w": np.ones((4, 4, 1, 1), np.float32)}
    return network(nodes, weights)


def test_the_report_says_all_zero_and_not_measured_rather_than_exact():
    x = np.random.default_rng(0).uniform(0, 1, (4, 3, 8, 8)).astype(np.float32)
    model = fewbins.quantize(silent_network(), x)
    assert [row["output_note"] for row in model.rows] == ["all zero", "all zero"]
    assert "all zero" in model.report()
    model = fewbins.quantize(GRAPH, scheme="w255")
    assert {row["output_note"] for row in model.rows} == {"not measured"} and "not measured" in model.report()
    assert not any("output_note" in row for row in digits().rows)


@pytest.mark.parametrize("value", [0.0, 1.0, 127.5])
def test_constant_calibration_images_are_warned_of(value):
    with pytest.warns(fewbins.FewbinsWarning, match=f"nothing but the value {value:g}"):
        fewbins.quantize(GRAPH, np.full((4, 1, 8, 8), value, np.float32))


def test_networks_schemes_and_preprocessing_are_taken_in_every_form():
    want = fewbins.quantize(GRAPH, images(), scheme="255x33").to_bytes()
    scheme = fewbins.Scheme.parse("255x33")
    for form in (DIGITS, str(DIGITS), DIGITS.read_bytes(), onnx.load(DIGITS)):
        assert fewbins.quantize(form, images(), scheme=scheme).to_bytes() == want
    model = fewbins.quantize(DIGITS, scheme="float", preprocessing={"channels": "GRAY", "mean": [1.0]})
    assert model.preprocessing == fewbins.Preprocessing(channels="GRAY", mean=(1.0,))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"graph": None}, "type NoneType"),
        ({"graph": 3}, "type int"),
        ({"graph": "m.fewbins"}, "quantized already"),
        ({"graph": digits()}, "quantized already"),
        ({"graph": "nowhere.onnx"}, "nowhere.onnx"),
        ({"images": 3}, "type int"),
        ({"images": b"x"}, "type bytes"),
        ({"images": [3]}, "int"),
        ({"images": "nowhere.npz"}, "nowhere.npz"),
        ({"scheme": None}, "NoneType"),
        ({"scheme": 8}, "int"),
        ({"observer": 3}, "mse"),
        ({"observer": ["mse"]}, "mse"),
        ({"preprocessing": 3}, "int"),
        ({"preprocessing": {"wide": 3}}, "wide"),
        ({"labels": "abc"}, "list of class names"),
        ({"labels": list("abcdefghi")}, "9 labels for 10 outputs"),
        ({"labels": range(10)}, "0, which is no string"),
        ({"labels": 3}, "int"),
        ({"seed": "a"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"provenance": 3}, "provenance"),
        ({"provenance": {"a": object()}}, "provenance"),
        ({"progress": 3}, "progress"),
    ],
    ids=str,
)
def test_an_argument_of_a_wrong_type_is_an_error_of_ours_in_one_line(arguments, says):
    with pytest.raises(fewbins.FewbinsError) as caught:
        fewbins.quantize(**{"graph": GRAPH, "images": images(4), **arguments})
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_stages_are_logged_and_choices_in_detail(caplog):
    with caplog.at_level("DEBUG", logger="fewbins"):
        fewbins.quantize(GRAPH, images(4))
    stages = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    words = ("after folding", "calibrating", "rounding the weights of 5 layers", "correcting the biases", "quantized 5")
    assert len(stages) == len(words) and all(word in stage for word, stage in zip(words, stages, strict=True))
    details = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    assert any("zero point" in line for line in details) and any("'conv1': 8bit" in line for line in details)
