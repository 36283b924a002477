# SPDX-License-Identifier: Apache-2.0
"""Random but valid small CNNs as ONNX models, from a seed: the same seed gives the same bytes.

Weights are scaled so that activations stay near 1, and no function with jumps is used: then a comparison of two
runtimes by tolerance is fair. Sizes are odd on purpose: 1 to 19 channels, few pixels, strides that do not divide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
OPSETS = (11, 13, 17, 18, 20)
IR_VERSION = 8
MAX_VOLUME = 4096
MAX_CHANNELS = 40


@dataclass(frozen=True)
class Value:
    """A tensor of the model; `shape` leaves the batch out."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class RandomModel:
    """What `random_model` makes.

    Attributes:
        proto: the ONNX model, with a batch of free size, and in some models a free height and width.
        shapes: input name -> shape without the batch; free sizes have the values that the model was made for.
    """

    proto: onnx.ModelProto
    shapes: dict[str, Shape]

    def feed(self, batch: int, seed: int) -> dict[str, np.ndarray]:
        """Random inputs."""
        rng = np.random.default_rng(seed)
        return {name: rng.standard_normal((batch, *shape)).astype(np.float32) for name, shape in self.shapes.items()}


def random_model(seed: int) -> RandomModel:
    """The model of a seed."""
    return _Builder(np.random.default_rng(seed)).build()


class _Builder:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.opset = int(rng.choice(OPSETS))
        self.free = self.chance(0.15)
        self.named = self.chance(0.8)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.maps: list[Value] = []  # feature maps (C, H, W) that later blocks may read

    def build(self) -> RandomModel:
        inputs = self.make_inputs()
        x = self.maps[0]
        for _ in range(self.integer(4, 10)):
            x = self.block(x if self.chance(0.8) else self.pick(self.maps))
            self.maps.append(x)
        outputs = [self.head(x)]
        unread = [value for value in self.maps[len(inputs) :] if not self.is_read(value)]
        outputs += unread[:2] if unread else []
        if self.chance(0.3):
            outputs.append(self.head(self.pick(self.maps[len(inputs) :])))
        outputs = [value for value in dict.fromkeys(outputs) if value not in inputs]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [self.info(value, free=self.free and len(value.shape) == 3) for value in inputs],
            [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None) for value in outputs],
            self.constants,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR_VERSION)
        return RandomModel(proto, {value.name: value.shape for value in inputs})

    def make_inputs(self) -> list[Value]:
        size = (self.integer(5, 14), self.integer(5, 14))
        inputs = [Value("x", (self.channels(), *size))]
        if self.chance(0.3):
            inputs.append(Value("x2", (self.channels(), *size)))
        self.maps += inputs
        if self.chance(0.15):
            vector = Value("features", (self.channels(),))
            inputs.append(vector)
            self.maps.append(self.unsqueeze(vector))
        return inputs

    # Randomness.

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """From low to high, both inclusive."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, items: Sequence) -> object:
        return items[int(self.rng.integers(len(items)))]

    def channels(self) -> int:
        return self.integer(1, 19)

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def weights(self, *shape: int, depth: int) -> np.ndarray:
        data = self.normal(*shape, scale=1.4 / math.sqrt(depth))
        if self.chance(0.1):
            data[:, self.integer(0, shape[1] - 1)] = 0
        if self.chance(0.15):
            data[self.integer(0, shape[0] - 1)] = 0
        return data

    # Nodes.

    def constant(self, data: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def emit(self, op: str, inputs: Sequence[Value | str], shape: Sequence[int], **attributes: object) -> Value:
        index = len(self.nodes)
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        name = f"{op.lower()}_{index}" if self.named else ""
        self.nodes.append(helper.make_node(op, names, [f"t{index}"], name, **attributes))
        return Value(f"t{index}", tuple(shape))

    def is_read(self, value: Value) -> bool:
        return any(value.name in node.input for node in self.nodes)

    def info(self, value: Value, *, free: bool) -> onnx.ValueInfoProto:
        dims = ["N", value.shape[0], "height", "width"] if free else ["N", *value.shape]
        return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, dims)

    # Blocks: from one feature map to another.

    def block(self, x: Value) -> Value:
        if x.shape[0] > MAX_CHANNELS or math.prod(x.shape) > MAX_VOLUME:
            return self.conv(x, kernel=(1, 1), strides=(2, 2), channels=self.channels())
        more = FREE_SIZE_BLOCKS if self.free else FIXED_SIZE_BLOCKS
        return getattr(self, str(self.pick((*WEIGHTED_BLOCKS, *BLOCKS, *more))))(x)

    def conv_block(self, x: Value) -> Value:
        y = self.conv(x)
        y = self.batch_norm(y) if self.chance(0.4) else y
        return self.activation(y) if self.chance(0.7) else y

    def conv(
        self,
        x: Value,
        *,
        kernel: Shape | None = None,
        strides: Shape | None = None,
        channels: int | None = None,
        same: bool = False,
    ) -> Value:
        """Of any kind; `same` keeps height and width."""
        c, h, w = x.shape
        kind = "pointwise" if kernel else self.pick(("full", "full", "pointwise", "depthwise", "groups", "same_auto"))
        groups, out = 1, channels or self.channels()
        if kind == "depthwise" and channels is None:
            groups, out = c, c * self.integer(1, 2)
        elif kind == "groups" and channels is None:
            groups = int(self.pick([g for g in range(1, c + 1) if c % g == 0]))
            out = groups * self.integer(1, max(1, 19 // groups))
        kernel = kernel or ((1, 1) if kind == "pointwise" else (self.integer(1, 5), self.integer(1, 5)))
        dilations = (self.integer(1, 2), self.integer(1, 2)) if kind != "same_auto" and self.chance(0.3) else (1, 1)
        span = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        attributes: dict[str, object] = {}
        if same:
            strides = (1, 1)
            begins = [self.integer(0, s - 1) for s in span]
            pads = (*begins, *(s - 1 - b for s, b in zip(span, begins, strict=True)))
        elif kind == "same_auto":
            strides = strides or (self.integer(1, 3), self.integer(1, 3))
            attributes["auto_pad"] = self.pick(("SAME_UPPER", "SAME_LOWER"))
            pads = None
        else:
            strides = strides or (self.integer(1, 2), self.integer(1, 2))
            pads = self.window_pads((h, w), span)
        if pads is not None:
            size = [(n + pads[i] + pads[i + 2] - span[i]) // strides[i] + 1 for i, n in enumerate((h, w))]
            attributes["pads"] = pads
        else:
            size = [-(-n // s) for n, s in zip((h, w), strides, strict=True)]
        weight = self.weights(out, c // groups, *kernel, depth=c // groups * math.prod(kernel))
        inputs: list[Value | str] = [x, self.constant(weight)]
        if self.chance(0.7):
            inputs.append(self.constant(self.normal(out, scale=0.3)))
        if groups > 1 or self.chance(0.5):
            attributes["group"] = groups
        if dilations != (1, 1):
            attributes["dilations"] = dilations
        if strides != (1, 1) or self.chance(0.5):
            attributes["strides"] = strides
        return self.emit("Conv", inputs, (out, *size), kernel_shape=kernel, **attributes)

    def window_pads(self, size: Sequence[int], span: Sequence[int]) -> tuple[int, ...]:
        """Pads of a window, below its span, with which it fits into the padded image at least once."""
        pads = [0, 0, 0, 0]
        if self.chance(0.7):
            pads = [self.integer(0, min(2, s - 1)) for s in (*span, *span)]
        for i, (n, s) in enumerate(zip(size, span, strict=True)):
            lack = s - n - pads[i] - pads[i + 2]
            while lack > 0:
                side = i if pads[i] <= pads[i + 2] else i + 2
                pads[side] += 1
                lack -= 1
        return tuple(pads)

    def conv_transpose(self, x: Value) -> Value:
        c, h, w = x.shape
        groups = int(self.pick([g for g in range(1, c + 1) if c % g == 0])) if self.chance(0.4) else 1
        per_group = self.integer(1, max(1, 12 // groups))
        kernel = (self.integer(1, 4), self.integer(1, 4))
        strides = (self.integer(1, 3), self.integer(1, 3))
        dilations = (self.integer(1, 2), self.integer(1, 2)) if self.chance(0.3) else (1, 1)
        padding = [self.integer(0, s - 1) for s in strides]
        span = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        pads = [self.integer(0, min(1, s - 1)) for s in (*span, *span)] if self.chance(0.6) else [0] * 4
        size = [(n - 1) * strides[i] + span[i] + padding[i] - pads[i] - pads[i + 2] for i, n in enumerate((h, w))]
        if min(size) < 1 or math.prod(size) > 1024:
            return self.conv(x)
        weight = self.weights(c, per_group, *kernel, depth=c // groups * math.prod(kernel))
        inputs = [x, self.constant(weight)]
        if self.chance(0.7):
            inputs.append(self.constant(self.normal(groups * per_group, scale=0.3)))
        y = self.emit(
            "ConvTranspose", inputs, (groups * per_group, *size), kernel_shape=kernel, strides=strides,
            dilations=dilations, pads=pads, output_padding=padding, group=groups,
        )  # fmt: skip
        return self.activation(y) if self.chance(0.5) else y

    def batch_norm(self, x: Value) -> Value:
        c = x.shape[0]
        parameters = (
            self.rng.uniform(0.5, 1.5, c), self.normal(c, scale=0.3), self.normal(c, scale=0.3),
            self.rng.uniform(0.4, 1.6, c),
        )  # fmt: skip
        names = [self.constant(data.astype(np.float32)) for data in parameters]
        return self.emit("BatchNormalization", [x, *names], x.shape, epsilon=float(self.pick((1e-5, 1e-3))))

    def activation(self, x: Value) -> Value:
        kind = str(self.pick(ACTIVATIONS))
        c = x.shape[0]
        if kind == "Relu6":
            limits = [self.constant(np.float32(0)), self.constant(np.float32(6))]
            return self.emit("Clip", [x, *limits], x.shape)
        if kind == "Clip":
            low = self.constant(np.float32(-self.rng.uniform(0, 1))) if self.chance(0.8) else ""
            return self.emit("Clip", [x, low, self.constant(np.float32(self.rng.uniform(0.2, 2)))], x.shape)
        if kind == "PRelu":
            slope = self.normal(c, *(1,) * (len(x.shape) - 1), scale=0.4)
            return self.emit("PRelu", [x, self.constant(slope)], x.shape)
        if kind == "LeakyRelu":
            return self.emit("LeakyRelu", [x], x.shape, alpha=float(self.pick((0.01, 0.125, 0.3, -0.2, 1.5))))
        if kind in ("Relu by mask", "LeakyRelu by Where"):
            # Functions without a jump, so that a level more or less changes little.
            positive = self.emit("Greater", [x, self.constant(np.zeros(1, np.float32))], x.shape)
            if kind == "Relu by mask":
                return self.emit("Mul", [x, self.emit("Cast", [positive], x.shape, to=TensorProto.FLOAT)], x.shape)
            low = self.emit("Mul", [x, self.constant(np.float32([0.25]))], x.shape)
            return self.emit("Where", [self.emit("Not", [positive], x.shape), low, x], x.shape)
        if kind == "Silu":
            return self.emit("Mul", [x, self.emit("Sigmoid", [x], x.shape)], x.shape)
        if kind == "HardSwish" and self.opset < 14:
            gate = self.emit("HardSigmoid", [x], x.shape, alpha=1 / 6, beta=0.5)
            return self.emit("Mul", [gate, x], x.shape)
        if kind == "HardSwish by parts":
            shifted = self.emit("Add", [x, self.constant(np.float32(3))], x.shape)
            limits = [self.constant(np.float32(0)), self.constant(np.float32(6))]
            gate = self.emit("Clip", [shifted, *limits], x.shape)
            product = self.emit("Mul", [x, gate], x.shape)
            return self.emit("Div", [product, self.constant(np.float32(6))], x.shape)
        if kind == "Gelu" and self.opset < 20:
            scaled = self.emit("Div", [x, self.constant(np.float32(math.sqrt(2)))], x.shape)
            error = self.emit("Erf", [scaled], x.shape)
            gate = self.emit("Add", [error, self.constant(np.float32(1))], x.shape)
            product = self.emit("Mul", [x, gate], x.shape)
            return self.emit("Mul", [product, self.constant(np.float32(0.5))], x.shape)
        if kind == "Gelu":
            return self.emit("Gelu", [x], x.shape, approximate=self.pick(("none", "tanh")))
        if kind == "Exp":
            return self.emit("Exp", [self.emit("Tanh", [x], x.shape)], x.shape)
        if kind in ("Sqrt", "Log", "Reciprocal"):
            one = self.constant(np.float32(1))
            positive = self.emit("Add", [self.emit("Abs", [x], x.shape), one], x.shape)
            return self.emit(kind, [positive], x.shape)
        if kind == "Pow":
            return self.emit("Pow", [self.emit("Tanh", [x], x.shape), self.constant(np.float32(2))], x.shape)
        return self.emit(kind, [x], x.shape)

    def residual(self, x: Value) -> Value:
        """The sum of x and f(x) in either order, f ending in a convolution or not; or of two convolutions of x."""
        side = self.conv(x, channels=x.shape[0], same=True)
        side = self.batch_norm(side) if self.chance(0.4) else side
        side = self.activation(side) if self.chance(0.3) else side
        other = self.conv(x, channels=x.shape[0], same=True) if self.chance(0.25) else x
        pair = [side, other] if self.chance(0.5) else [other, side]
        op = "Sub" if self.chance(0.15) else "Add"
        y = self.emit(op, pair, x.shape)
        return self.activation(y) if self.chance(0.5) else y

    def join(self, x: Value) -> Value:
        """Two maps of one shape by an elementwise operator."""
        others = [value for value in self.maps if value.shape == x.shape and value != x] or [self.activation(x)]
        return self.emit(str(self.pick(("Add", "Sub", "Mul", "Max", "Min"))), [x, self.pick(others)], x.shape)

    def with_constant(self, x: Value) -> Value:
        c, h, w = x.shape
        shapes: list[Shape] = [(), (1,), (c, 1, 1), (1, c, 1, 1)] + ([] if self.free else [(c, h, w), (1, w), (h, 1)])
        op = str(self.pick(("Add", "Sub", "Mul", "Div")))
        data = self.normal(*self.pick(shapes))
        if op in ("Mul", "Div"):
            data = np.float32(np.sign(data) * (np.abs(data) + 0.5)) if self.chance(0.4) else np.abs(data) + 0.5
        pair = [x, self.constant(data.astype(np.float32))]
        return self.emit(op, pair if op == "Div" or self.chance(0.7) else pair[::-1], x.shape)

    def squeeze_excite(self, x: Value) -> Value:
        c, middle = x.shape[0], self.integer(1, 8)
        y = self.emit("GlobalAveragePool", [x], (c, 1, 1))
        y = self.conv(y, kernel=(1, 1), strides=(1, 1), channels=middle)
        y = self.emit("Relu", [y], y.shape)
        y = self.conv(y, kernel=(1, 1), strides=(1, 1), channels=c)
        y = Value(y.name, (c, 1, 1))
        gate = self.emit(str(self.pick(("Sigmoid", "HardSigmoid"))), [y], y.shape)
        return self.emit("Mul", [x, gate] if self.chance(0.7) else [gate, x], x.shape)

    def broadcast(self, x: Value) -> Value:
        """A map joined with its own mean or extreme over some axes."""
        axes = [(2, 3), (3,), (2,), (1,)][self.integer(0, 3)]
        small = self.reduce(x, str(self.pick(("ReduceMean", "ReduceMax", "ReduceMin"))), axes)
        return self.emit(str(self.pick(("Add", "Sub", "Mul"))), [x, small], x.shape)

    def reduce(self, x: Value, op: str, axes: Sequence[int], *, keep: bool = True) -> Value:
        kept = [1 if i + 1 in axes else n for i, n in enumerate(x.shape)]
        shape = kept if keep else [n for i, n in enumerate(x.shape) if i + 1 not in axes]
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.emit(op, [x, self.ints(*axes)], shape, keepdims=int(keep))
        return self.emit(op, [x], shape, axes=list(axes), keepdims=int(keep))

    def concat(self, x: Value) -> Value:
        same = [value for value in self.maps if value.shape[1:] == x.shape[1:]]
        branch = self.conv(x, channels=self.channels(), same=True)
        branch = self.activation(branch) if self.chance(0.5) else branch
        parts = [branch, x] if self.chance(0.5) else [x, branch]
        if same and self.chance(0.6):
            parts.insert(self.integer(0, 2), self.pick(same))
        axis = 1 if self.chance(0.8) else -3
        return self.emit("Concat", parts, (sum(part.shape[0] for part in parts), *x.shape[1:]), axis=axis)

    def concat_rows(self, x: Value) -> Value:
        axis = self.integer(2, 3)
        shape = list(x.shape)
        shape[axis - 1] *= 2
        return self.emit("Concat", [x, self.activation(x)], shape, axis=axis)

    def max_pool(self, x: Value) -> Value:
        return self.pool(x, "MaxPool")

    def average_pool(self, x: Value) -> Value:
        return self.pool(x, "AveragePool")

    def pool(self, x: Value, op: str) -> Value:
        c, h, w = x.shape
        kernel = [self.integer(min(2, h), min(4, h)), self.integer(1, min(4, w))]
        strides = [self.integer(1, 3), self.integer(1, 3)]
        attributes: dict[str, object] = {"kernel_shape": kernel, "strides": strides}
        dilated = self.chance(0.2) and (op == "MaxPool" or self.opset >= 19)
        dilations = [self.integer(1, 2) for _ in kernel] if dilated else [1, 1]
        span = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        if any(s > n for s, n in zip(span, (h, w), strict=True)):
            dilations, span = [1, 1], kernel
        if dilations != [1, 1]:
            attributes["dilations"] = dilations
        if op == "AveragePool" and self.chance(0.5):
            attributes["count_include_pad"] = 1
        reaches = all(s <= k for s, k in zip(strides, kernel, strict=True))  # else ONNX Runtime has negative pads
        if self.chance(0.3) and dilations == [1, 1] and reaches:
            attributes["auto_pad"] = self.pick(("SAME_UPPER", "SAME_LOWER"))
            size = [-(-n // s) for n, s in zip((h, w), strides, strict=True)]
            return self.emit(op, [x], (c, *size), **attributes)
        pads = [self.integer(0, min(k - 1, 2)) for k in (*kernel, *kernel)] if self.chance(0.7) else [0] * 4
        room = [n + pads[i] + pads[i + 2] - span[i] for i, n in enumerate((h, w))]
        size = [r // s + 1 for r, s in zip(room, strides, strict=True)]
        more = [-(-r // s) + 1 for r, s in zip(room, strides, strict=True)]
        # A last window that begins behind the image is left out; ONNX's own shape inference does not know that.
        inside = all((n - 1) * strides[i] < x.shape[1 + i] + pads[i] for i, n in enumerate(more))
        ceil_mode = inside and self.chance(0.5)
        size = more if ceil_mode else size
        return self.emit(op, [x], (c, *size), pads=pads, ceil_mode=int(ceil_mode), **attributes)

    def resize(self, x: Value) -> Value:
        c, h, w = x.shape
        # Nearest jumps where a place lies between two pixels: only whole factors, whose places are exact.
        linear = self.chance(0.5)
        modes = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
        attributes: dict[str, object] = {"mode": "linear" if linear else "nearest"}
        attributes["coordinate_transformation_mode"] = self.pick(modes if linear else modes[:3])
        if not linear:
            attributes["nearest_mode"] = self.pick(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"))
        empty = "" if self.opset >= 13 else self.constant(np.zeros(0, np.float32))
        factors = [self.integer(1, 3), self.integer(1, 2)]
        size = (h * factors[0], w * factors[1])
        if self.free or self.chance(0.5):
            scales = self.constant(np.array([1, 1, *factors], np.float32))
            return self.emit("Resize", [x, empty, scales], (c, *size), **attributes)
        if linear:
            size = (self.integer(1, 16), self.integer(1, 16))
        # The batch is free: sizes that hold it come from the shape of x, as exporters write them.
        whole = self.emit("Shape", [x], ())
        front = self.emit("Slice", [whole, self.ints(0), self.ints(2), self.ints(0)], ())
        sizes = self.emit("Concat", [front, self.ints(*size)], (), axis=0)
        return self.emit("Resize", [x, empty, empty, sizes], (c, *size), **attributes)

    def pad(self, x: Value) -> Value:
        c, h, w = x.shape
        mode = str(self.pick(("constant", "constant", "reflect", "edge")))
        ends = [self.integer(0, min(2, n - 1)) for n in (h, w, h, w)]
        channels = [0, 0]
        if mode == "constant" and self.chance(0.3):
            channels = [self.integer(0, 2), self.integer(0, 2)]
        if mode == "constant" and not self.free and self.chance(0.3) and h > 2:
            ends[0] = -1
        pads = (0, channels[0], ends[0], ends[1], 0, channels[1], ends[2], ends[3])
        inputs = [x, self.ints(*pads)]
        if mode == "constant" and self.chance(0.5):
            inputs.append(self.constant(np.float32(self.rng.uniform(-1, 1))))
        shape = (c + sum(channels), h + ends[0] + ends[2], w + ends[1] + ends[3])
        return self.emit("Pad", inputs, shape, mode=mode)

    def slice(self, x: Value) -> Value:
        axis = self.integer(1, 1 if self.free else 3)
        size = x.shape[axis - 1]
        start = self.integer(0, size - 1)
        end = self.integer(start + 1, size)
        step = self.integer(1, 2)
        count = -(-(end - start) // step)
        if self.chance(0.2):  # the same values backwards
            first = start + (count - 1) * step
            stop = start - step if start >= step else -(2**31)
            bounds = (first, stop, -step)
        else:
            bounds = (start - size if self.chance(0.3) else start, end if end < size else 2**31 - 1, step)
        shape = list(x.shape)
        shape[axis - 1] = count
        named = axis - 4 if self.chance(0.3) else axis
        return self.emit("Slice", [x, *(self.ints(n) for n in (bounds[0], bounds[1], named, bounds[2]))], shape)

    def split(self, x: Value) -> Value:
        c, h, w = x.shape
        if c < 2:
            return self.conv_block(x)
        first = self.integer(1, c - 1)
        index = len(self.nodes)
        names = [f"t{index}", f"t{index}b"]
        name = f"split_{index}" if self.named else ""
        if self.opset >= 13:
            self.nodes.append(helper.make_node("Split", [x.name, self.ints(first, c - first)], names, name, axis=1))
        else:
            self.nodes.append(helper.make_node("Split", [x.name], names, name, axis=1, split=[first, c - first]))
        parts = [Value(names[0], (first, h, w)), Value(names[1], (c - first, h, w))]
        if self.chance(0.3):
            return parts[self.integer(0, 1)]
        side = self.conv(parts[1], channels=c - first, same=True)
        return self.emit("Concat", [side, parts[0]], (c, h, w), axis=1)

    def shuffle(self, x: Value) -> Value:
        c, h, w = x.shape
        groups = int(self.pick([g for g in range(1, c + 1) if c % g == 0]))
        y = self.emit("Reshape", [x, self.ints(0, groups, c // groups, h, w)], (groups, c // groups, h, w))
        y = self.emit("Transpose", [y], (c // groups, groups, h, w), perm=[0, 2, 1, 3, 4])
        return self.emit("Reshape", [y, self.ints(0, -1, h, w)], x.shape)

    def channels_last(self, x: Value) -> Value:
        """A product with a matrix at every pixel, between two transpositions."""
        c, h, w = x.shape
        out = self.channels()
        y = self.emit("Transpose", [x], (h, w, c), perm=[0, 2, 3, 1])
        y = self.emit("MatMul", [y, self.constant(self.weights(c, out, depth=c))], (h, w, out))
        if self.chance(0.5):
            y = self.emit("Add", [y, self.constant(self.normal(out))], y.shape)
        return self.emit("Transpose", [y], (out, h, w), perm=[0, 3, 1, 2])

    def normalize(self, x: Value) -> Value:
        """Over the pixels, or over the channels of a pixel; a large epsilon, since some maps are constant."""
        c, h, w = x.shape
        scale, bias = self.constant(np.abs(self.normal(c)) + np.float32(0.5)), self.constant(self.normal(c))
        if self.opset < 17 or self.chance(0.5):
            return self.emit("InstanceNormalization", [x, scale, bias], x.shape, epsilon=0.25)
        y = self.emit("Transpose", [x], (h, w, c), perm=[0, 2, 3, 1])
        y = self.emit("LayerNormalization", [y, scale, bias], y.shape, epsilon=0.25)
        return self.emit("Transpose", [y], x.shape, perm=[0, 3, 1, 2])

    def attention(self, x: Value) -> Value:
        """Channels mixed by how alike they are: two products of activations."""
        c, h, w = x.shape
        rows = self.emit("Reshape", [x, self.ints(0, c, -1)], (c, h * w))
        columns = self.emit("Transpose", [rows], (h * w, c), perm=[0, 2, 1])
        y = self.emit("MatMul", [rows, columns], (c, c))
        y = self.emit("Mul", [y, self.constant(np.float32(1 / (h * w)))], y.shape)
        y = self.emit("Softmax", [y], y.shape, axis=2)
        return self.emit("Reshape", [self.emit("MatMul", [y, rows], rows.shape), self.ints(0, c, h, w)], x.shape)

    def turn(self, x: Value) -> Value:
        c, h, w = x.shape
        return self.emit("Transpose", [x], (c, w, h), perm=[0, 1, 3, 2])

    def depth_to_space(self, x: Value) -> Value:
        c, h, w = x.shape
        if c % 4:
            c = 4 * self.integer(1, 4)
            x = self.conv(x, channels=c, same=True)
        mode = self.pick(("DCR", "CRD"))
        return self.emit("DepthToSpace", [x], (c // 4, 2 * h, 2 * w), blocksize=2, mode=mode)

    def space_to_depth(self, x: Value) -> Value:
        c, h, w = x.shape
        if h % 2 or w % 2:
            return self.conv_block(x)
        return self.emit("SpaceToDepth", [x], (4 * c, h // 2, w // 2), blocksize=2)

    def places(self, x: Value) -> Value:
        """The number of the row or the column added to every pixel, counted when the network runs."""
        if self.opset < 11:
            return self.conv_block(x)
        axis = self.integer(2, 3)
        zero, one = self.constant(np.int64(0)), self.constant(np.int64(1))
        shape = self.emit("Shape", [x], ())
        size = self.emit("Gather", [shape, self.constant(np.int64(axis))], ())
        numbers = self.emit("Cast", [self.emit("Range", [zero, size, one], ())], (), to=TensorProto.FLOAT)
        if axis == 2:
            numbers = self.emit("Reshape", [numbers, self.ints(-1, 1)], ())
        both = self.emit("Slice", [shape, self.ints(2), self.ints(4)], ())
        wide = self.emit("Expand", [numbers, both], ())
        small = self.emit("Mul", [wide, self.constant(np.float32(0.05))], ())
        return self.emit("Add", [x, small], x.shape)

    def softmax(self, x: Value) -> Value:
        return self.emit("Softmax", [x], x.shape, axis=1 if self.opset >= 13 and self.chance(0.6) else 3)

    def unsqueeze(self, x: Value) -> Value:
        shape = (*x.shape, 1, 1)
        if self.opset >= 13:
            return self.emit("Unsqueeze", [x, self.ints(2, 3)], shape)
        return self.emit("Unsqueeze", [x], shape, axes=[2, 3])

    # Heads: from a feature map to an output.

    def head(self, x: Value) -> Value:
        kind = self.pick(("classify", "classify", "map", "tokens") if not self.free else ("classify", "map"))
        if kind == "map":
            return self.conv(x, channels=self.channels(), same=True)
        if kind == "tokens":
            c, h, w = x.shape
            out = self.channels()
            y = self.emit("Reshape", [x, self.ints(0, c, -1)], (c, h * w))
            y = self.emit("Transpose", [y], (h * w, c), perm=[0, 2, 1])
            y = self.emit("MatMul", [y, self.constant(self.weights(c, out, depth=c))], (h * w, out))
            return self.emit("Softmax", [y], y.shape, axis=2) if self.chance(0.5) else y
        return self.classify(x)

    def classify(self, x: Value) -> Value:
        c = x.shape[0]
        way = self.integer(0, 3 if math.prod(x.shape) <= 1024 and not self.free else 2)
        if way == 0:
            op = "GlobalMaxPool" if self.chance(0.3) else "GlobalAveragePool"
            y = self.emit("Flatten", [self.emit(op, [x], (c, 1, 1))], (c,), axis=1)
        elif way == 1:
            op = str(self.pick(("ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin")))
            y = self.reduce(x, op, (2, 3), keep=False)
        elif way == 2:
            y = self.reduce(x, "ReduceMean", (2, 3), keep=True)
            y = self.emit("Reshape", [y, self.ints(0, -1)], (c,))
        else:
            y = self.emit("Flatten", [x], (math.prod(x.shape),), axis=1)
        y = self.gemm(y)
        if self.chance(0.4):
            y = self.gemm(self.activation(y))
        if self.chance(0.2):
            y = self.ranked(y)
        return self.emit("Softmax", [y], y.shape, axis=1) if self.chance(0.4) else y

    def ranked(self, x: Value) -> Value:
        """The largest values in order, times a factor that is 1 whatever the place of the largest is."""
        (classes,) = x.shape
        place = self.emit("ArgMax", [x], (1,), axis=1)
        factor = self.emit("Gather", [self.constant(np.ones(classes, np.float32)), place], (1,))
        x = self.emit("Mul", [x, factor], x.shape)
        count = self.integer(1, classes)
        y = self.emit("TopK", [x, self.ints(count)], (count,), axis=1)
        self.nodes[-1].output.append(f"{y.name}_places")
        return y

    def gemm(self, x: Value) -> Value:
        (depth,) = x.shape
        out, turn = self.integer(1, 23), self.integer(0, 1)
        shape = (out, depth) if turn else (depth, out)
        if self.chance(0.3):
            y = self.emit("MatMul", [x, self.constant(self.weights(depth, out, depth=depth))], (out,))
            return self.emit("Add", [y, self.constant(self.normal(out))], (out,)) if self.chance(0.6) else y
        inputs = [x, self.constant(self.weights(*shape, depth=depth))]
        if self.chance(0.8):
            inputs.append(self.constant(self.normal(out, scale=0.3)))
        factors = {"alpha": 0.5, "beta": 2.0} if self.chance(0.2) else {}
        return self.emit("Gemm", inputs, (out,), transB=turn, **factors)


WEIGHTED_BLOCKS = ("conv_block",) * 5 + ("residual",) * 4 + ("conv_transpose",) * 2
BLOCKS = (
    "activation", "batch_norm", "join", "with_constant", "squeeze_excite", "broadcast", "concat", "max_pool",
    "max_pool", "average_pool", "average_pool", "resize", "resize", "pad", "slice", "split", "channels_last",
    "normalize",
)  # fmt: skip
FIXED_SIZE_BLOCKS = ("attention", "concat_rows", "shuffle", "turn", "depth_to_space", "space_to_depth", "softmax")
FREE_SIZE_BLOCKS = ("places", "places", "places")
ACTIVATIONS = (
    "Relu", "Relu", "Relu6", "Clip", "LeakyRelu", "LeakyRelu", "PRelu", "HardSwish", "HardSwish by parts", "Silu",
    "Sigmoid", "Tanh", "HardSigmoid", "Elu", "Gelu", "Softplus", "Exp", "Sqrt", "Log", "Reciprocal", "Pow", "Abs",
    "Neg", "Relu by mask", "LeakyRelu by Where",
)  # fmt: skip
