# SPDX-License-Identifier: Apache-2.0
"""Anchors and coordinates made of free heights and widths: computed at run time, as ONNX Runtime computes them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import assert_close, check, expected, normal, operators, parse

import fewbins
from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx

NUMBERS = {
    "i0": np.int64(0), "i1": np.int64(1), "i2": np.int64(2), "i3": np.int64(3), "v0": np.int64([0]),
    "v1": np.int64([1]), "v2": np.int64([2]), "vm": np.int64([-1]), "half": np.float32(0.5), "one": np.float32(1),
    "two": np.float32(2), "i8": np.int64(8), "far": np.int64([2**31]), "m2": np.int64([-1, 2]),
    "k1": np.int64([1, -1, 2]), "rows": np.int64([-1, 1]), "base": np.float32([[[-4, -4, 4, 4], [-8, -2, 8, 2]]]),
    "w": normal(6, 3, 3, 3) / 4, "w2": normal(6, 6, 3, 3) / 4, "v": normal(4, 6, 1, 1), "u": normal(4, 5, 3, 3) / 4,
}  # fmt: skip
SIZES = """s = Shape(f) n0 = Gather(s, i0) h = Gather(s, i2) w0 = Gather(s, i3)
    n = Unsqueeze(n0, v0) hv = Unsqueeze(h, v0) wv = Unsqueeze(w0, v0) hw = Concat<axis = 0>(hv, wv)"""
FEATURES = f"c = Conv<pads = [1,1,1,1], strides = [2,2]>(x, w) f = Relu(c) {SIZES}"
# Bodies on x, float32 (N, 3, height, width), that make y.
HEADS = {
    # Ultralytics' make_anchors: half-pixel centres, a stride for each, and boxes of distances from them.
    "points and strides": f"""{FEATURES}
        a = Range(i0, w0, i1) b = Cast<to = 1>(a) sx = Add(b, half) d = Range(i0, h, i1) e = Cast<to = 1>(d)
        sy = Add(e, half) sy1 = Unsqueeze(sy, v1) gy = Expand(sy1, hw) sx1 = Unsqueeze(sx, v0) gx = Expand(sx1, hw)
        gx2 = Unsqueeze(gx, vm) gy2 = Unsqueeze(gy, vm) g = Concat<axis = -1>(gx2, gy2) points = Reshape(g, m2)
        area = Mul(h, w0) av = Unsqueeze(area, v0) shape = Concat<axis = 0>(av, v1)
        strides = ConstantOfShape<value = float[1] {{8.0}}>(shape) p1 = Mul(points, strides)
        p = Conv(f, v) pt = Transpose<perm = [0, 2, 3, 1]>(p) pr = Reshape(pt, q) box = Slice(pr, v0, v2, v2)
        y = Add(box, p1)""",
    # RetinaNet's shifts: whole numbers times a stride, joined, then added to the anchors of one place.
    "shifts in integers": f"""{FEATURES}
        a = Range(i0, w0, i1) ax = Mul(a, i8) d = Range(i0, h, i1) ay = Mul(d, i8)
        ay1 = Unsqueeze(ay, v1) gy = Expand(ay1, hw) ax1 = Unsqueeze(ax, v0) gx = Expand(ax1, hw)
        fx = Reshape(gx, rows) fy = Reshape(gy, rows) shifts = Concat<axis = 1>(fx, fy, fx, fy)
        z = Cast<to = 1>(shifts) z1 = Unsqueeze(z, v1) y = Add(z1, base)""",
    # YOLOv5's grid, expanded to the anchors' shape.
    "a grid for each anchor": f"""{FEATURES}
        a = Range(i0, w0, i1) d = Range(i0, h, i1) d1 = Unsqueeze(d, v1) a1 = Unsqueeze(a, v0)
        gy = Expand(d1, hw) gx = Expand(a1, hw) gx2 = Unsqueeze(gx, v2) gy2 = Unsqueeze(gy, v2)
        g = Concat<axis = 2>(gx2, gy2) b = Cast<to = 1>(g) z = Sub(b, half)
        t = Concat<axis = 0>(v1, v2, hv, wv, v2) y = Expand(z, t)""",
    # CoordConv: places from -1 to 1 as two more channels of the image itself.
    "coordinates as channels": f"""f = Identity(x) {SIZES}
        wf = Cast<to = 1>(w0) hf = Cast<to = 1>(h) a = Range(i0, w0, i1) b = Cast<to = 1>(a) wl = Sub(wf, one)
        px = Div(b, wl) qx = Mul(px, two) rx = Sub(qx, one) d = Range(i0, h, i1) e = Cast<to = 1>(d) hl = Sub(hf, one)
        py = Div(e, hl) qy = Mul(py, two) ry = Sub(qy, one) tx = Concat<axis = 0>(n, v1, hv, wv)
        ry1 = Unsqueeze(ry, v1) cx = Expand(rx, tx) cy = Expand(ry1, tx) j = Concat<axis = 1>(x, cx, cy)
        y = Conv<pads = [1,1,1,1]>(j, u)""",
    # torch.expand as PyTorch's exporter writes it: sizes of -1 are looked for, though a size is at least 1.
    "expanded where not minus one": f"""{FEATURES}
        d = Range(i0, h, i1) e = Cast<to = 1>(d) e1 = Unsqueeze(e, v1) k = ConstantOfShape<value = int64[1] {{1}}>(v2)
        m = Mul(k, vm) same = Equal(hw, m) t = Where(same, k, hw) y = Expand(e1, t)""",
    "zeros of a free batch": f"""{FEATURES} t = Concat<axis = 0>(n, v2, hv, wv) z = ConstantOfShape(t)
        p = Conv(f, v) q0 = Slice(p, v0, v2, v1) r = Slice(p, v2, far, v1) y = Add(q0, z)""",
}  # fmt: skip


def model(name: str) -> onnx.ModelProto:
    body = HEADS[name]
    text = f"(float[N,3,height,width] x) => (float[] y) {{ {body} }}"
    return parse(text, 13, {**NUMBERS, "q": np.int64([0, -1, 4])})


@pytest.mark.parametrize("name", HEADS)
def test_values_of_free_sizes_agree_with_onnx_runtime(name: str) -> None:
    made = model(name)
    for height, width in ((16, 24), (15, 17), (2, 6)):
        x = normal(1, 3, height, width)
        graph = check(made, {"x": x})
        session = fewbins.Session(fewbins.quantize(graph, scheme="float").to_bytes())
        assert_close({"y": session.run(x)}, expected(made, {"x": x}), 1e-5, "engine")


@pytest.mark.parametrize("name", ["points and strides", "coordinates as channels", "zeros of a free batch"])
def test_values_of_free_sizes_join_an_integer_network(name: str) -> None:
    made = model(name)
    images = [normal(1, 3, 16, 16, seed=seed) for seed in range(16)]
    session = fewbins.Session(fewbins.quantize(load_onnx(made), images))
    for x in (images[0], normal(1, 3, 16, 24, seed=99)):
        want = expected(made, {"x": x})["y"]
        assert np.square(session.run(x) - want).mean() < 2e-3 * np.square(want).mean()


def test_fixed_sizes_make_constants_of_them() -> None:
    graph = load_onnx(model("points and strides"), input_shapes={"x": (1, 3, 16, 24)})
    assert not {"Range", "Expand"} & set(operators(graph))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"{FEATURES} a = Range(i0, w0, i1) y = Cast<to = 7>(a)", "'y' .*integer type"),
        (f"{FEATURES} a = Range(i0, w0, i1) b = Div(a, i2) y = Cast<to = 1>(b)", "integers that come from free sizes"),
        (f"{FEATURES} wf = Cast<to = 1>(w0) y = Range(half, wf, two)", "input_shapes"),
        (f"{FEATURES} a = Range(w0, i8, i1) y = Cast<to = 1>(a)", "input_shapes"),
        (f"{FEATURES} d = Add(h, w0) a = Range(i0, d, i1) y = Cast<to = 1>(a)", "input_shapes"),
        (f"{FEATURES} a = Range(i0, w0, i1) b = Mul(a, big) y = Cast<to = 1>(b)", "integers above 16777216"),
    ],
)
def test_what_cannot_be_made_of_free_sizes_asks_for_input_shapes(body: str, message: str) -> None:
    text = f"(float[N,3,height,width] x) => (float[] y) {{ {body} }}"
    with pytest.raises(UnsupportedError, match=message):
        load_onnx(parse(text, 13, {**NUMBERS, "big": np.int64(2**25)}))
