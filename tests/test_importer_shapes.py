# SPDX-License-Identifier: Apache-2.0
"""Shape arithmetic in ONNX files: folded where sizes are known, followed symbolically where the batch is in it."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import check, expected, normal, operators, parse

import fewbins
from fewbins.errors import ArgumentError, ShapeError, UnsupportedError
from fewbins.importers import load_onnx
from fewbins.importers.sizes import Symbol, ceil, equal, floor, product

INT = {
    "zero": np.int64([0]),
    "one": np.int64([1]),
    "two": np.int64([2]),
    "minus": np.int64([-1]),
    "scalar0": np.int64(0),
    "scalar1": np.int64(1),
}


def model(body: str, shape: str = "batch,6,4,4", opset: int = 13, **constants: np.ndarray):  # type: ignore[no-untyped-def]
    return parse(f"(float[{shape}] x) => (float[] y) {{ {body} }}", opset, {**INT, **constants})


# What exporters write to flatten, to keep a batch, and to shuffle channels.
RESHAPES = {
    "flatten of PyTorch": """s = Shape(x) n = Gather<axis = 0>(s, scalar0) m = Unsqueeze(n, zero)
        t = Concat<axis = 0>(m, minus) y = Reshape(x, t)""",
    "slice of the shape": "s = Shape(x) n = Slice(s, zero, one) t = Concat<axis = 0>(n, minus) y = Reshape(x, t)",
    "through int32": """s = Shape(x) a = Cast<to = 6>(s) n = Slice(a, zero, one) b = Cast<to = 7>(n)
        t = Concat<axis = 0>(b, minus) y = Reshape(x, t)""",
    "channels divided": """s = Shape(x) n, c, h, w = Split<axis = 0>(s) g = Div(c, two)
        t = Concat<axis = 0>(n, two, g, h, w) u = Reshape(x, t)
        v = Transpose<perm = [0, 2, 1, 3, 4]>(u) y = Reshape(v, s)""",
    "batch times channels": """s = Shape(x) n, c, h, w = Split<axis = 0>(s) m = Mul(n, c)
        t = Concat<axis = 0>(m, one, h, w) u = Reshape(x, t) y = Reshape(u, s)""",
    "product of the rest": """s = Shape(x) r = Slice(s, one, four) p = ReduceProd<keepdims = 1>(r)
        n = Slice(s, zero, one) t = Concat<axis = 0>(n, p) y = Reshape(x, t)""",
    "minus one first": "t = Concat<axis = 0>(minus, big) y = Reshape(x, t)",
    "sum and difference": """s = Shape(x) n = Slice(s, zero, one) a = Add(n, n) b = Sub(a, n)
        t = Concat<axis = 0>(b, minus) y = Reshape(x, t)""",
    "floor and ceil of floats": """s = Shape(x) n = Slice(s, zero, one) f = Cast<to = 1>(n) g = Mul(f, half)
        h = Add(g, g) i = Floor(h) j = Ceil(i) k = Cast<to = 7>(j) t = Concat<axis = 0>(k, minus) y = Reshape(x, t)""",
}


@pytest.mark.parametrize("body", RESHAPES.values(), ids=RESHAPES)
def test_reshape_by_shape_arithmetic_keeps_the_batch_free(body: str) -> None:
    constants = {"four": np.int64([4]), "big": np.int64([96]), "half": np.float32([0.5])}
    made = model(body, **constants)
    for batch in (1, 3):
        graph = check(made, {"x": normal(batch, 6, 4, 4)})
    assert set(operators(graph)) <= {"Reshape", "Transpose"}


# Moves of blocks and channels spelled out, every size taken from Shape: n, c, h, w are those of (batch, 12, ...).
SPELLED_OUT = {
    "depth to space": """k = Concat<axis = 0>(n, two, two, three, h, w) b = Reshape(x, k)
        t = Transpose<perm = [0, 3, 4, 1, 5, 2]>(b) hh = Mul(h, two) ww = Mul(w, two)
        q = Concat<axis = 0>(n, three, hh, ww) y = Reshape(t, q)""",
    "space to depth": """hh = Div(h, two) ww = Div(w, two) k = Concat<axis = 0>(n, c, hh, two, ww, two)
        b = Reshape(x, k) t = Transpose<perm = [0, 3, 5, 1, 2, 4]>(b) cc = Mul(c, four)
        q = Concat<axis = 0>(n, cc, hh, ww) y = Reshape(t, q)""",
    "channel shuffle": """k = Concat<axis = 0>(n, two, six, h, w) b = Reshape(x, k)
        t = Transpose<perm = [0, 2, 1, 3, 4]>(b) q = Concat<axis = 0>(n, c, h, w) y = Reshape(t, q)""",
    "windows": """hh = Div(h, two) ww = Div(w, four) k = Concat<axis = 0>(n, c, hh, two, ww, four) b = Reshape(x, k)
        t = Transpose<perm = [0, 2, 4, 3, 5, 1]>(b) a = Mul(n, hh) m = Mul(a, ww)
        q = Concat<axis = 0>(minus, eight, c) y = Reshape(t, q)""",
    "rows into the batch": """a = Mul(n, h) t = Transpose<perm = [0, 2, 1, 3]>(x)
        q = Concat<axis = 0>(minus, c, w) y = Reshape(t, q)""",
    "twice the height, through its own shape": """k = Concat<axis = 0>(n, two, two, three, h, w) b = Reshape(x, k)
        t = Transpose<perm = [0, 3, 4, 1, 5, 2]>(b) hh = Mul(h, two) ww = Mul(w, two)
        q = Concat<axis = 0>(n, three, hh, ww) u = Reshape(t, q) s2 = Shape(u)
        n2, c2, h2, w2 = Split<axis = 0>(s2) h3 = Div(h2, two) w3 = Div(w2, two)
        q2 = Concat<axis = 0>(n2, c2, h3, two, w3, two) v = Reshape(u, q2)
        z = Transpose<perm = [0, 1, 3, 5, 2, 4]>(v) q3 = Concat<axis = 0>(n2, c, h3, w3) y = Reshape(z, q3)""",
}


@pytest.mark.parametrize("body", SPELLED_OUT.values(), ids=SPELLED_OUT)
def test_moves_spelled_out_keep_height_and_width_free(body: str) -> None:
    numbers = {"three": 3, "four": 4, "six": 6, "eight": 8}
    constants = {name: np.int64([number]) for name, number in numbers.items()}
    made = model(f"s = Shape(x) n, c, h, w = Split<axis = 0>(s) {body}", "batch,12,height,width", **constants)
    for shape in ((1, 12, 4, 8), (3, 12, 2, 4)):
        graph = check(made, {"x": normal(*shape)})
        session = fewbins.Session(fewbins.quantize(graph, scheme="float").to_bytes())
        np.testing.assert_array_equal(session.run(normal(*shape)), expected(made, {"x": normal(*shape)})["y"])


def test_a_size_that_does_not_divide_is_refused_when_it_runs() -> None:
    body = SPELLED_OUT["space to depth"]
    made = model(f"s = Shape(x) n, c, h, w = Split<axis = 0>(s) {body}", "batch,3,height,width", four=np.int64([4]))
    session = fewbins.Session(fewbins.quantize(load_onnx(made), scheme="float"))
    with pytest.raises(ShapeError, match="a size of 5 times 1 is no multiple of 2"):
        session.run(normal(1, 3, 5, 4))


@pytest.mark.parametrize("shape", [[-1, 192], [0, -1, 16]])
def test_sizes_of_export_written_into_a_reshape_ask_for_input_shapes(shape: list[int]) -> None:
    made = model("y = Reshape(x, k)", "batch,12,height,width", k=np.int64(shape))
    with pytest.raises(UnsupportedError, match="input_shapes"):
        load_onnx(made)
    x = normal(2, 12, 4, 4)
    check(made, {"x": x}, input_shapes={"x": ("batch", 12, 4, 4)})


def test_expand_to_a_shape_with_minus_ones_by_where_and_equal() -> None:
    # torch.expand(x, -1, -1, 4, 5) as PyTorch writes it.
    body = (
        "k = ConstantOfShape<value = int64[1] {1}>(rank) m = Mul(k, minus) e = Equal(wanted, m) "
        "t = Where(e, k, wanted) y = Expand(x, t)"
    )
    made = model(body, "batch,6,1,1", rank=np.int64([4]), wanted=np.int64([-1, -1, 4, 5]))
    check(made, {"x": normal(2, 6, 1, 1)})


def test_expand_to_another_tensors_shape_with_a_free_batch() -> None:
    made = model("m = ReduceMean<axes = [2, 3]>(x) s = Shape(x) y = Expand(m, s)")
    check(made, {"x": normal(2, 6, 4, 4)})


def test_resize_to_twice_a_free_height_and_width_becomes_scales() -> None:
    body = (
        "s = Shape(x) nc = Slice(s, zero, two) hw = Slice(s, two, four) d = Mul(hw, two) "
        "t = Concat<axis = 0>(nc, d) y = Resize(x, , , t)"
    )
    made = model(body, "batch,3,height,width", four=np.int64([4]))
    graph = check(made, {"x": normal(2, 3, 5, 7)})
    assert graph.nodes[0].attrs.scales == (2.0, 2.0)


def test_slice_up_to_the_size_of_its_axis_is_the_whole_axis() -> None:
    graph = check(
        model("s = Shape(x) n = Slice(s, zero, one) t = Slice(x, zero, n) y = Relu(t)"), {"x": normal(2, 6, 4, 4)}
    )
    assert operators(graph) == ["relu"]


def test_pads_computed_from_shapes_are_folded() -> None:
    body = (
        "s = Shape(x) h = Slice(s, two, three) d = Div(h, two) "
        "p = Concat<axis = 0>(z, d, zero, z, d, zero) y = Pad(x, p)"
    )
    made = model(body, three=np.int64([3]), z=np.int64([0, 0]))
    graph = check(made, {"x": normal(1, 6, 4, 4)})
    assert graph.nodes[0].attrs.pads == (0, 0, 2, 0, 0, 0, 2, 0)


def test_integer_division_on_constants_rounds_to_zero() -> None:
    body = "q = Div(a, b) f = Cast<to = 1>(q) y = Mul(x, f)"
    check(model(body, "batch,4", a=np.int64([-7, 7, -7, 6]), b=np.int64([2, -2, -2, 3])), {"x": normal(2, 4)})


def test_integer_division_by_zero_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="by zero"):
        load_onnx(model("q = Div(one, zero) f = Cast<to = 1>(q) y = Mul(x, f)"))


def test_comparing_a_free_size_with_one_asks_for_input_shapes() -> None:
    body = "s = Shape(x) n = Slice(s, zero, one) e = Equal(n, one) f = Cast<to = 1>(e) y = Mul(x, f)"
    made = model(body)
    with pytest.raises(UnsupportedError, match="input_shapes"):
        load_onnx(made)
    check(made, {"x": normal(1, 6, 4, 4)}, input_shapes={"x": (1, 6, 4, 4)})


def test_sizes_that_the_file_does_not_give_stay_free() -> None:
    made = model("y = Relu(x)", "batch,3,h,w")
    dims = made.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value = -1
    dims[2].dim_param = "?"
    dims[3].ClearField("value")
    graph = load_onnx(made)
    assert graph.tensors["x"].shape == ("batch", 3, "height", "width")


def test_question_marks_are_not_taken_for_equal_sizes() -> None:
    made = parse("(float[N,4] a, float[N,4] b) => (float[] y) { y = Add(a, b) }", 13)
    for info in made.graph.input:
        info.type.tensor_type.shape.dim[0].dim_param = "?"
    graph = load_onnx(made)
    first, second = (graph.tensors[name].shape[0] for name in graph.inputs)
    assert first != second
    assert graph.tensors["y"].shape[0] not in (first, second)


def test_branches_of_equal_geometry_have_equal_free_sizes() -> None:
    body = "a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, w) b = Conv<strides = [2, 2]>(x, v) y = Add(a, b)"
    made = model(body, "batch,6,height,width", w=normal(8, 6, 3, 3), v=normal(8, 6, 1, 1))
    graph = check(made, {"x": normal(1, 6, 7, 8)})
    shapes = {graph.tensors[node.output].shape for node in graph.nodes}
    assert len(shapes) == 1
    assert "?" not in shapes.pop()


def test_input_shapes_fix_a_size_wherever_the_file_names_it() -> None:
    made = parse("(float[N,4,h,h] a, float[N,4,1,1] b) => (float[] y) { y = Add(a, b) }", 13)
    graph = load_onnx(made, input_shapes={"a": (2, 4, 8, 8)})
    assert graph.tensors["b"].shape == (2, 4, 1, 1)


@pytest.mark.parametrize(
    ("shapes", "error", "text"),
    [
        ({"z": (1, 6, 4, 4)}, ArgumentError, "has no input 'z'"),
        ({"x": (1, 6, 4)}, ShapeError, "rank 4"),
        ({"x": (0, 6, 4, 4)}, ArgumentError, "numbers >= 1"),
        ({"x": (1.5, 6, 4, 4)}, ArgumentError, "numbers >= 1"),
    ],
)
def test_input_shapes_that_make_no_sense_are_refused(shapes: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_onnx(model("y = Relu(x)"), input_shapes=shapes)


def test_one_name_cannot_become_two_sizes() -> None:
    made = parse("(float[N,3,s,s] x) => (float[] y) { y = Relu(x) }", 13)
    with pytest.raises(ShapeError, match="'s' cannot be both 4 and 5"):
        load_onnx(made, input_shapes={"x": (1, 3, 4, 5)})


def test_a_huge_constant_is_refused_before_memory_is_taken() -> None:
    made = model("c = ConstantOfShape(s) y = Mul(x, c)", s=np.int64([2**31, 2**31]))
    with pytest.raises(UnsupportedError, match="exceeds"):
        load_onnx(made)


def test_products_of_symbols() -> None:
    n, h = Symbol.of("n"), Symbol.of("h")
    assert product([n, 3, h]) / h == n * 3
    assert (n * 4) // 2 == n * 2
    assert floor(h / 2) == floor(h / 2) != h
    assert ceil(h * 1.5 * 2) == h * 3
    assert (h + 1) + 0 == h + 1
    assert h - h == 0
    assert (n * h) / (n * h) == 1


def test_what_is_known_about_a_free_size() -> None:
    n = Symbol.of("n")
    assert equal(n, n) is True
    assert equal(n, 0) is False
    assert equal(n * 2, 1) is False
    assert equal(n, 1) is None
    assert equal(n + -3, -1) is None
    assert equal(n, Symbol.of("m")) is None
