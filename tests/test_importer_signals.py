# SPDX-License-Identifier: Apache-2.0
"""Networks over signals, tensors (N, C, L): every operator in one dimension, and as fast as images of one row."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import assert_close, check, expected, normal, operators, parse

import fewbins
from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx

PARAMETERS = {"s": normal(6), "b": normal(6, seed=1), "m": normal(6, seed=2), "v": np.abs(normal(6, seed=3)) + 1}
# Bodies on x, float32 (batch, 6, length): since which opset, what else they read.
BODIES: dict[str, tuple[str, int, dict[str, np.ndarray]]] = {
    "conv": ("y = Conv<strides = [2], pads = [2, 1], dilations = [2], group = 2>(x, w, b)", 11,
             {"w": normal(4, 3, 3), "b": normal(4)}),
    "depthwise conv": ("y = Conv<pads = [1, 1], group = 6>(x, w)", 11, {"w": normal(6, 1, 3)}),
    "conv, kernel_shape given": ("y = Conv<kernel_shape = [3]>(x, w)", 11, {"w": normal(4, 6, 3)}),
    **{f"conv {mode}": (f'y = Conv<auto_pad = "{mode}", strides = [3]>(x, w)', 11, {"w": normal(4, 6, 4)})
       for mode in ("SAME_UPPER", "SAME_LOWER", "VALID")},
    "transposed conv": ("y = ConvTranspose<strides = [3], pads = [1, 0], dilations = [2], output_padding = [2], "
                        "group = 2>(x, w, b)", 11, {"w": normal(6, 2, 3), "b": normal(4)}),
    **{f"transposed conv {mode}": (f'y = ConvTranspose<auto_pad = "{mode}", strides = [2]>(x, w)', 11,
                                   {"w": normal(6, 2, 5)}) for mode in ("SAME_UPPER", "SAME_LOWER")},
    "max pool": ("y = MaxPool<kernel_shape = [3], strides = [2], pads = [1, 0]>(x)", 12, {}),
    "max pool, ceil": ("y = MaxPool<kernel_shape = [3], strides = [2], ceil_mode = 1>(x)", 12, {}),
    "average pool": ("y = AveragePool<kernel_shape = [3], strides = [2], pads = [1, 1]>(x)", 11, {}),
    "average pool, padding counted": (
        "y = AveragePool<kernel_shape = [4], pads = [2, 1], count_include_pad = 1>(x)", 11, {}),
    "global average": ("y = GlobalAveragePool(x)", 11, {}),
    "global maximum": ("y = GlobalMaxPool(x)", 11, {}),
    "batch normalization": ("y = BatchNormalization(x, s, b, m, v)", 15, PARAMETERS),
    "pad": ("y = Pad(x, p)", 13, {"p": np.int64([0, 0, 2, 0, 0, 3])}),
    "pad, reflected": ('y = Pad<mode = "reflect">(x, p)', 13, {"p": np.int64([0, 0, 2, 0, 0, 3])}),
    "prelu": ("y = PRelu(x, k)", 13, {"k": normal(6, 1)}),
    "resize": ('y = Resize<coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(x, , c)', 13,
               {"c": np.float32([1, 1, 2])}),
    "resize, linear": ('y = Resize<mode = "linear">(x, , c)', 13, {"c": np.float32([1, 1, 1.5])}),
    "resize by sizes": ('y = Resize<mode = "linear">(x, , , z)', 13, {"z": np.int64([2, 6, 17])}),
    "resize by axes": ('y = Resize<axes = [2]>(x, , c)', 18, {"c": np.float32([2])}),
    "upsample": ("y = Upsample(x, c)", 9, {"c": np.float32([1, 1, 3])}),
}  # fmt: skip


def model(body: str, opset: int, constants: dict[str, np.ndarray], shape: str = "batch,6,length") -> onnx.ModelProto:
    return parse(f"(float[{shape}] x) => (float[] y) {{ {body} }}", opset, constants)


@pytest.mark.parametrize("name", BODIES)
def test_operator_of_rank_3_agrees_with_onnx_runtime(name: str) -> None:
    fixed = name == "resize by sizes"
    made = model(*BODIES[name], "2,6,length" if fixed else "batch,6,length")
    for length in (11,) if fixed else (11, 12):
        x = normal(2, 6, length, seed=5)
        check(made, {"x": x}, input_shapes={"x": (2, 6, length)})
        if not fixed:
            check(made, {"x": x})
        session = fewbins.Session(fewbins.quantize(load_onnx(made), scheme="float").to_bytes())
        assert_close({"y": session.run(x)}, expected(made, {"x": x}), 2e-5, "engine")


WAVE = {
    "w0": normal(8, 6, 5) / 4, "w1": normal(8, 8, 3) / 4, "w2": normal(8, 1, 3), "w3": normal(5, 8, 1) / 2,
    "s": np.abs(normal(8)), "b": normal(8, seed=1), "m": normal(8, seed=2), "v": np.abs(normal(8, seed=3)) + 1,
    "k": np.abs(normal(8, 1)), "gain": normal(1, 8, 1), "p": np.int64([0, 0, 1, 0, 0, 1]), "shape": np.int64([0, -1]),
}  # fmt: skip
# A residual block, an attention gate, a depthwise layer, a PRelu, a Pad and a Concat: what stands between layers.
NETWORK = """
    a0 = Conv<strides = [2], pads = [2, 2]>(x, w0) a = Relu(a0)
    b0 = Conv<pads = [1, 1]>(a, w1) b1 = BatchNormalization(b0, s, b, m, v) b2 = Add(b1, a) b3 = Relu(b2)
    g0 = GlobalAveragePool(b3) g = Sigmoid(g0) c = Mul(b3, g) d = Mul(c, gain)
    e0 = Pad(d, p) e1 = Conv<group = 8>(e0, w2) e = PRelu(e1, k) f = MaxPool<kernel_shape = [2], strides = [2]>(e)
    h = Concat<axis = 1>(f, f) i, j = Split<axis = 1>(h) o = Conv(i, w3) y = Reshape(o, shape)"""
TWIN = (NETWORK.replace("[2, 2]", "[0, 2, 0, 2]").replace("[1, 1]", "[0, 1, 0, 1]").replace("strides = [2]",
        "strides = [1, 2]").replace("kernel_shape = [2]", "kernel_shape = [1, 2]"))  # fmt: skip


def twin() -> onnx.ModelProto:
    """The same network on images of one row."""
    wide = {name: np.expand_dims(data, -2) if data.ndim > 1 else data for name, data in WAVE.items()}
    wide["p"] = np.int64([0, 0, 0, 1, 0, 0, 0, 1])
    return model(TWIN, 13, wide, "batch,6,1,length")


def test_a_network_of_rank_3_is_the_nodes_of_its_twin_of_rank_4_and_a_way_in_and_out() -> None:
    ours, wide = operators(load_onnx(model(NETWORK, 13, WAVE))), operators(load_onnx(twin()))
    assert ours == ["Reshape", *wide[:-1], "Reshape", "Reshape"]


@pytest.mark.parametrize("scheme", ["float", "8bit", "255x33"])
def test_a_network_of_rank_3_gives_the_numbers_of_its_twin_of_rank_4(scheme: str) -> None:
    x = normal(8, 6, 32, seed=7)
    made = model(NETWORK, 13, WAVE)
    session = fewbins.Session(fewbins.quantize(load_onnx(made), x, scheme=scheme))
    y = session.run(x)
    rows = fewbins.Session(fewbins.quantize(load_onnx(twin()), x[:, :, None], scheme=scheme)).run(x[:, :, None])
    assert np.array_equal(y, rows)
    if scheme == "float":
        assert_close({"y": y}, expected(made, {"x": x}), 2e-5, "engine")
    longer = normal(2, 6, 50, seed=8)
    assert session.run(longer).shape == expected(made, {"x": longer})["y"].shape


def test_inputs_outputs_and_layers_of_rank_3_keep_their_names() -> None:
    graph = load_onnx(parse("(float[N,6,L] sound) => (float[] mid, float[] y) { mid = Conv(sound, w) y = Relu(mid) }",
                            13, {"w": normal(4, 6, 3)}))  # fmt: skip
    assert (graph.inputs, graph.outputs) == (("sound",), ("mid", "y"))
    assert graph.tensors["sound"].shape == ("N", 6, "L")
    assert [node.name for node in graph.nodes if node.op == "Conv"] == ["Conv_0"]


def test_an_image_that_is_squeezed_and_unsqueezed_again_stays_an_image() -> None:
    body = """a = Conv(x, w) b = Squeeze(a, two) c = Relu(b) d = Unsqueeze(c, two) y = Conv(d, w)"""
    made = model(body, 13, {"w": normal(6, 6, 1, 3), "two": np.int64([2])}, "batch,6,1,length")
    graph = check(made, {"x": normal(2, 6, 1, 9)})
    assert operators(graph) == ["Conv", "relu", "Conv"]


def test_truth_values_of_a_signal_stay_truth_values() -> None:
    # A mask of an image of one row, cut as a signal: what is cut from truth values is truth values.
    body = """m = MaxPool<kernel_shape = [1, 3], strides = [1, 1], pads = [0, 1, 0, 1]>(x) p = Equal(x, m)
        q = Squeeze(p, two) r = Slice(q, one, six, one) t = Unsqueeze(r, two) z = Cast<to = 1>(t)
        b = Slice(x, one, six, one) y = Mul(b, z)"""
    constants = {"one": np.int64([1]), "six": np.int64([6]), "two": np.int64([2])}
    made, x = model(body, 13, constants, "batch,6,1,length"), normal(2, 6, 1, 9)
    session = fewbins.Session(fewbins.quantize(check(made, {"x": x}), scheme="float"))
    assert_close({"y": session.run(x)}, expected(made, {"x": x}), 2e-5, "engine")


@pytest.mark.parametrize("axes", ["axes = [2]", "axes = [-1], keepdims = 0"])
def test_a_mean_over_the_length_stays_among_images(axes: str) -> None:
    made = model(f"a = Conv(x, w) b = ReduceMean<{axes}>(a) y = Relu(b)", 13, {"w": normal(6, 6, 3)})
    graph = check(made, {"x": normal(2, 6, 9)})
    assert operators(graph)[:3] == ["Reshape", "Conv", "Reduce"]


@pytest.mark.parametrize(
    "norm",
    [
        "n = InstanceNormalization(a, s, b)",
        "n = GroupNormalization<num_groups = 2>(a, s, b)",
        "n = LayerNormalization(a, row)",
        "n = LayerNormalization<axis = 1>(a, k)",
    ],
)
def test_normalizations_stay_among_images(norm: str) -> None:
    constants = {"w": normal(6, 6, 3), "s": normal(6), "b": normal(6, seed=1), "row": normal(7), "k": normal(6, 1)}
    made = model(f"a = Conv(x, w) {norm} r = Relu(n) y = Conv(r, w)", 21, constants, "batch,6,9")
    graph = check(made, {"x": normal(2, 6, 9)})
    assert operators(graph) == ["Reshape", "Conv", "Normalize", "relu", "Conv", "Reshape"]


@pytest.mark.parametrize("body", ["y = Conv(x, w)", "y = MaxPool<kernel_shape = [2, 2, 2]>(x)", "y = GlobalMaxPool(x)",
                                  "y = Resize(x, , c)"])  # fmt: skip
def test_volumes_are_refused_by_their_rank(body: str) -> None:
    constants = {"w": normal(4, 6, 1, 1, 1), "c": np.float32([1, 1, 2, 2, 2])}
    with pytest.raises(UnsupportedError, match=r"rank 5; only rank 4 \(images\) and rank 3 \(signals\) are supported"):
        load_onnx(model(body, 13, constants, "N,6,4,4,4"))


def test_a_kernel_of_another_rank_than_the_input_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"kernel_shape .* is for 2 spatial axes, the input has 1"):
        load_onnx(model("y = MaxPool<kernel_shape = [2, 2]>(x)", 13, {}))
