# SPDX-License-Identifier: Apache-2.0
"""What the importer says: one line for each kind of problem, and what would cure it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import normal, parse

from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx


def refused(model: onnx.ModelProto, **arguments: object) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        load_onnx(model, **arguments)
    assert "\n" not in str(caught.value)
    return caught.value


def test_many_nodes_of_one_kind_are_one_line_with_the_first_names() -> None:
    steps = " ".join(f"[det{i}] t{i + 1} = Det(t{i})" for i in range(200))
    model = parse(f"(float[4,3,3] t0) => (float[] y) {{ {steps} y = Relu(t200) }}", 17)
    many = onnx.ModelProto()
    many.CopyFrom(model)
    for node in many.graph.node[:200]:
        node.input[0] = "t0"
    many.graph.output.extend(onnx.helper.make_tensor_value_info(f"t{i}", 1, None) for i in range(1, 200))
    error = refused(many)
    (line,) = error.nodes
    assert line.startswith(
        "Det, 200 nodes: 'det0', 'det1', 'det2', ... (inputs 4 x 3 x 3): the operator is not supported"
    )
    assert len(str(error)) < 400


def test_kinds_differ_by_operator_and_by_reason_but_not_by_the_names_in_it() -> None:
    text = (
        "(float[1,3,8,8] x, float[4,3,3,3] u, float[4,3,3,3] v) => (float[] a, float[] b, float[] c) "
        "{ [one] a = Conv(x, u) [two] b = Conv(x, v) [three] c = Conv<kernel_shape = [5, 5]>(x, w) }"
    )
    error = refused(parse(text, 17, {"w": normal(4, 3, 3, 3)}))
    assert len(error.nodes) == 2
    assert error.nodes[0].startswith("Conv, 2 nodes: 'one', 'two' (inputs 1 x 3 x 8 x 8, 4 x 3 x 3 x 3): the weight")
    assert error.nodes[1].startswith("Conv 'three' (inputs 1 x 3 x 8 x 8, 4 x 3 x 3 x 3): kernel_shape (5, 5) is not")


def test_a_great_many_kinds_are_cut_off_with_their_number() -> None:
    names = ["Det", "NonZero", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Hardmax",
             "Shrink", "Celu", "ThresholdedRelu", "Unique"]  # fmt: skip
    steps = " ".join(f"y{i} = Relu(x)" for i in range(len(names)))
    outputs = ", ".join(f"float[] y{i}" for i in range(len(names)))
    model = parse(f"(float[4,4] x) => ({outputs}) {{ {steps} }}", 17)
    for node, name in zip(model.graph.node, names, strict=True):
        node.op_type = name + "Unknown"
    error = refused(model)
    assert len(error.nodes) == 13 and error.nodes[-1] == "and 4 more kinds of problems"


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("y = Reshape(x, k)", {"k": np.int64([-1, 3 * 224 * 224])}),
        (
            "s = Shape(x) h = Gather(s, two) q = Div(h, two) p = Slice(x, zero, q, two) y = Relu(p)",
            {"two": np.int64([2]), "zero": np.int64([0])},
        ),
    ],
)
def test_what_fixed_sizes_would_cure_says_so_with_shapes_to_copy(body: str, constants: dict[str, np.ndarray]) -> None:
    model = parse(f"(float[N,3,H,W] x) => (float[] y) {{ {body} }}", 17, constants)
    text = str(refused(model))
    assert "with fixed sizes it can be imported: give those that the network was made for" in text
    shape = text[text.index("{'x': ") + 6 : text.rindex("}")]
    assert load_onnx(model, input_shapes={"x": eval(shape)}).outputs == ("y",)  # it can be copied


def test_where_sizes_cure_only_some_it_says_how_many() -> None:
    text = "(float[N,3,H,W] x) => (float[] y, float[] z) { y = Reshape(x, k) z = Det(x) }"
    error = refused(parse(text, 17, {"k": np.int64([-1, 3 * 64 * 64])}))
    assert "with fixed sizes 1 of these can be imported" in error.nodes[-1]


def test_free_sizes_are_not_blamed_where_they_cannot_be_the_reason() -> None:
    error = refused(parse("(float[N,3,H,W] x) => (float[] y) { y = Det(x) }", 17))
    assert len(error.nodes) == 1 and "sizes" not in str(error)
    fixed = refused(parse("(float[1,3,8,8] x) => (float[] y) { y = Reshape(x, k) }", 17, {"k": np.int64([5, 5])}))
    assert len(fixed.nodes) == 1 and "input_shapes" not in str(fixed)


def test_sizes_that_are_none_of_the_usual_are_asked_for_in_general() -> None:
    model = parse("(float[N,3,H,W] x) => (float[] y) { y = Reshape(x, k) }", 17, {"k": np.int64([-1, 3 * 11 * 13])})
    assert "some sizes are free; where the network was made for fixed ones" in str(refused(model))
    assert load_onnx(model, input_shapes={"x": ("N", 3, 11, 13)}).tensors["y"].shape == ("N", 429)
