# SPDX-License-Identifier: Apache-2.0
"""Small model files with the results that they had when they were written: what later releases must still give.

    python tests/models/write.py

writes the folder of the format version that this release writes, such as tests/models/v1.0/: for each network and
scheme NAME.fewbins, and NAME.npz with an input `x` and the outputs. It is run once, by the release that introduces a
version, and its files are never written again; tests/test_format_versions.py reads all of them, and the engine's
allocation tests run those of the newest version.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import fewbins
from fewbins.model_file import contents

SIDE = 12

# As onnx.parser has it; the weights w0, w1, ... get these shapes, and biases their first.
NETWORKS = {
    # strides, a residual, ceil_mode, depthwise, a table, a global mean, a matrix
    "classifier": (
        "(float[N,3,12,12] x) => (float[N,5] y) {"
        " a = Conv<pads = [1,1,1,1]>(x, w0, b0) ar = Relu(a)"
        " b = Conv<pads = [1,1,1,1]>(ar, w1, b1) s = Add(b, ar) sr = Relu(s)"
        " p = MaxPool<kernel_shape = [3,3], strides = [2,2], ceil_mode = 1>(sr)"
        " d = Conv<pads = [1,1,1,1], group = 8>(p, w2, b2) h = HardSwish(d)"
        " m = AveragePool<kernel_shape = [2,2], strides = [2,2]>(h) g = GlobalAveragePool(m) f = Flatten(g)"
        " y = Gemm<transB = 1>(f, w3, b3) }",
        [(8, 3, 3, 3), (8, 8, 3, 3), (8, 1, 3, 3), (5, 8)],
    ),
    # resizing of several kinds (version 1.0 has outputs of `odd` one place before the input that they lie on), a joint
    "unet": (
        "(float[N,3,12,12] x) => (float[N,2,24,24] y, float[N,3,8,8] z) {"
        " a = Conv<pads = [1,1,1,1]>(x, w0, b0) ar = Relu(a)"
        " p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(ar)"
        " b = Conv<pads = [1,1,1,1]>(p, w1, b1) br = LeakyRelu(b)"
        ' up = Resize<mode = "nearest">(br, none, twice)'
        ' odd = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric",'
        ' nearest_mode = "floor">(p, none, four_thirds)'
        ' lin = Resize<mode = "linear">(br, none, twice)'
        " j = Concat<axis = 1>(up, lin, ar)"
        " y = ConvTranspose<strides = [2,2]>(j, w2, b2) z = Conv(odd, w3, b3) }",
        [(6, 3, 3, 3), (6, 6, 3, 3), (18, 2, 2, 2), (3, 6, 1, 1)],
    ),
    # peaks, class numbers, a ranking, and values picked by it (since version 1.1)
    "heads": (
        "(float[N,3,12,12] x) => (bool[N,4,12,12] peaks, float[N,4,12,12] p, int64[N,12,12] classes, float[N,5] v,"
        " int32[N,5] places, float[N,5,5] picked) {"
        " a = Conv<pads = [1,1,1,1]>(x, w0, b0) ar = Relu(a) h = Conv(ar, w1, b1) s = Sigmoid(h)"
        " m = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1]>(s) peaks = Equal(s, m) big = Less(half, s)"
        " both = And(peaks, big) p = Where(both, s, zero) classes = ArgMax<axis = 1, keepdims = 0>(h)"
        " f = GlobalAveragePool(ar) g = Flatten(f) v, i = TopK(g, five) places = Cast<to = 6>(i)"
        " picked = Gather<axis = 0>(table, i) }",
        [(6, 3, 3, 3), (4, 6, 1, 1)],
    ),
    # normalizations, attention, and coordinates of a free height and width (since version 1.1)
    "blocks": (
        "(float[N,3,H,W] x) => (float[N,6,H,W] y, float[N,6,6] att) {"
        " a = Conv<pads = [1,1,1,1]>(x, w0, b0) n = InstanceNormalization(a, slopes, b0) m = Mish(n)"
        " d = Conv<pads = [1,1,1,1], group = 6>(m, w1, b1) t = Transpose<perm = [0,2,3,1]>(d)"
        " l = LayerNormalization<axis = -1>(t, slopes) b = Transpose<perm = [0,3,1,2]>(l)"
        " g = GlobalAveragePool(b) f = Flatten(g) u = Unsqueeze(f, axis2) r = Unsqueeze(f, axis1) att = MatMul(u, r)"
        " size = Shape(b) wide = Gather(size, three) across = Range(nought, wide, unit) places = Cast<to = 1>(across)"
        " batch = Gather(size, axis0) area = Gather(size, axes23) whole = Concat<axis = 0>(batch, axis1, area)"
        " plane = Expand(places, whole) j = Concat<axis = 1>(b, plane) y = Conv(j, w2, b2) }",
        [(6, 3, 3, 3), (6, 1, 3, 3), (6, 7, 1, 1)],
    ),
}
SCHEMES = {
    "heads": ("8bit",),
    "blocks": ("8bit",),
    "classifier": ("8bit", "255x33,first=8bit,last=8bit", "23x23:fixed", "8bit:shift", "u4", "lut4", "w15"),
    "unet": ("8bit", "255x33", "64x29:fixed"),
}


def network(name: str) -> onnx.ModelProto:
    """The network with normal weights that keep the size of what passes, the same ones in every call."""
    text, shapes = NETWORKS[name]
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> g {text}')
    rng = np.random.default_rng(7)
    constants = {
        "none": np.float32([]),
        "twice": np.float32([1, 1, 2, 2]),
        "half": np.float32(0.5),
        "zero": np.float32(0),
        "five": np.int64([5]),
        "slopes": np.float32([1, 2, 0.5, 1, 1.5, 1]),
        "nought": np.int64(0),
        "unit": np.int64(1),
        "three": np.int64(3),
        "axis0": np.int64([0]),
        "axis1": np.int64([1]),
        "axis2": np.int64([2]),
        "axes23": np.int64([2, 3]),
        "table": (np.arange(30).reshape(6, 5) / 4).astype(np.float32),
        "four_thirds": np.float32([1, 1, 4 / 3, 4 / 3]),
    }
    for index, shape in enumerate(shapes):
        channels = shape[1] if name == "unet" and index == 2 else shape[0]
        spread = 1.4 / np.sqrt(np.prod(shape[1:]))
        constants[f"w{index}"] = (spread * rng.standard_normal(shape)).astype(np.float32)
        constants[f"b{index}"] = (0.2 * rng.standard_normal(channels)).astype(np.float32)
    read = {operand for node in model.graph.node for operand in node.input}
    for key, data in constants.items():
        if key in read:
            model.graph.initializer.append(numpy_helper.from_array(data, key))
    return model


def main() -> None:
    """Write the folder of this release's format version."""
    folder = Path(__file__).parent / "v{}.{}".format(*contents.VERSION)
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(11)
    calibration = rng.standard_normal((16, 3, SIDE, SIDE)).astype(np.float32)
    x = (rng.integers(-32, 33, (2, 3, SIDE, SIDE)) / 16).astype(np.float32)
    for name, schemes in SCHEMES.items():
        for scheme in schemes:
            model = fewbins.quantize(fewbins.load_onnx(network(name)), calibration, scheme=scheme)
            stem = f"{name}_{scheme.split(',')[0].replace(':', '_')}"
            model.save(folder / f"{stem}.fewbins")
            outputs = fewbins.Session(model).run(x)
            named = outputs if isinstance(outputs, dict) else {"y": outputs}
            np.savez_compressed(folder / f"{stem}.npz", x=x, **named)


if __name__ == "__main__":
    main()
