# SPDX-License-Identifier: Apache-2.0
"""Train the small CNN of the demo and write examples/digits.onnx. Needs NumPy, scikit-learn and onnx; takes a minute.

    python examples/01_train_digits.py

The network has what real ones have: convolutions with batch normalization, a residual connection, pooling, a linear
layer. The training loop is plain NumPy (convolution as a matrix product over patches, Adam, a cosine learning rate),
so that the file can be made again anywhere. Results differ in the last digits between BLAS libraries; the committed
file is the one that the tests use.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from digits_data import digits
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

EPOCHS = 40
BATCH = 64
OUTPUT = Path(__file__).with_name("digits.onnx")


class Parameter:
    """A weight with its gradient and Adam's two moments."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value.astype(np.float32)
        self.gradient = np.zeros_like(self.value)
        self.mean = np.zeros_like(self.value)
        self.square = np.zeros_like(self.value)

    def adam(self, rate: float, step: int, decay: float = 1e-4) -> None:
        gradient = self.gradient + decay * self.value
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        update = (self.mean / (1 - 0.9**step)) / (np.sqrt(self.square / (1 - 0.999**step)) + 1e-8)
        self.value = (self.value - rate * update).astype(np.float32)


class Conv:
    """3x3 convolution, padding 1, followed by batch normalization. Tensors are (N, C, H, W)."""

    def __init__(self, rng: np.random.Generator, channels_in: int, channels_out: int) -> None:
        spread = np.sqrt(2 / (9 * channels_in))
        self.weight = Parameter(rng.normal(0, spread, (channels_out, channels_in * 9)))
        self.gamma = Parameter(np.ones(channels_out))
        self.beta = Parameter(np.zeros(channels_out))
        self.running_mean = np.zeros(channels_out, np.float32)
        self.running_var = np.ones(channels_out, np.float32)
        self.channels_in = channels_in
        self.parameters = [self.weight, self.gamma, self.beta]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        n, _, h, w = x.shape
        windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
        self.patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, -1)
        self.shape = x.shape
        z = self.patches @ self.weight.value.T
        if training:
            mean, var = z.mean(axis=0), z.var(axis=0)
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var
        else:
            mean, var = self.running_mean, self.running_var
        self.inverse = 1 / np.sqrt(var + 1e-5)
        self.normal = (z - mean) * self.inverse
        y = self.normal * self.gamma.value + self.beta.value
        return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        n, _, h, w = self.shape
        dy = dy.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
        self.gamma.gradient = (dy * self.normal).sum(axis=0)
        self.beta.gradient = dy.sum(axis=0)
        # the three terms: the output itself, its mean, and its variance
        dz = dy - dy.mean(axis=0) - self.normal * (dy * self.normal).mean(axis=0)
        dz *= self.gamma.value * self.inverse
        self.weight.gradient = dz.T @ self.patches
        patches = (dz @ self.weight.value).reshape(n, h, w, self.channels_in, 3, 3)
        dx = np.zeros((n, self.channels_in, h + 2, w + 2), np.float32)
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + h, j : j + w] += patches[..., i, j].transpose(0, 3, 1, 2)
        return dx[:, :, 1:-1, 1:-1]


class Network:
    """conv1 - conv2 - conv3 + conv1's output - pool - conv4 - mean over the picture - linear."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.convs = [Conv(rng, 1, 24), Conv(rng, 24, 24), Conv(rng, 24, 24), Conv(rng, 24, 48)]
        self.weight = Parameter(rng.normal(0, np.sqrt(1 / 48), (10, 48)))
        self.bias = Parameter(np.zeros(10))
        self.parameters = [p for conv in self.convs for p in conv.parameters] + [self.weight, self.bias]

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        conv1, conv2, conv3, conv4 = self.convs
        self.a1 = np.maximum(conv1.forward(x, training), 0)
        self.a2 = np.maximum(conv2.forward(self.a1, training), 0)
        self.a3 = np.maximum(conv3.forward(self.a2, training) + self.a1, 0)
        n, c, h, w = self.a3.shape
        self.cells = (
            self.a3.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        )
        self.a4 = np.maximum(conv4.forward(self.cells.max(axis=-1), training), 0)
        self.features = self.a4.mean(axis=(2, 3))
        return self.features @ self.weight.value.T + self.bias.value

    def backward(self, dlogits: np.ndarray) -> None:
        conv1, conv2, conv3, conv4 = self.convs
        self.weight.gradient = dlogits.T @ self.features
        self.bias.gradient = dlogits.sum(axis=0)
        d4 = (dlogits @ self.weight.value)[:, :, None, None] / 16 * (self.a4 > 0)
        dpool = conv4.backward(d4)
        winners = self.cells.argmax(axis=-1)[..., None] == np.arange(4)
        n, c, h, w = dpool.shape
        d3 = (
            (dpool[..., None] * winners)
            .reshape(n, c, h, w, 2, 2)
            .transpose(0, 1, 2, 4, 3, 5)
            .reshape(n, c, 2 * h, 2 * w)
        )
        d3 = d3 * (self.a3 > 0)
        d2 = conv3.backward(d3) * (self.a2 > 0)
        d1 = (conv2.backward(d2) + d3) * (self.a1 > 0)
        conv1.backward(d1)


def train(x: np.ndarray, y: np.ndarray) -> Network:
    rng = np.random.default_rng(1)
    network = Network(rng)
    steps = EPOCHS * (len(x) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        for batch in np.split(rng.permutation(len(x))[: len(x) // BATCH * BATCH], len(x) // BATCH):
            step += 1
            pictures = np.roll(x[batch], rng.integers(-1, 2, 2), axis=(2, 3))
            logits = network.forward(pictures, training=True)
            probability = np.exp(logits - logits.max(axis=1, keepdims=True))
            probability /= probability.sum(axis=1, keepdims=True)
            network.backward((probability - np.eye(10, dtype=np.float32)[y[batch]]) / BATCH)
            rate = 0.004 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for parameter in network.parameters:
                parameter.adam(rate, step)
    return network


def to_onnx(network: Network) -> onnx.ModelProto:
    """Write the network as PyTorch's exporter would: batch normalization as a node of its own, a free batch size."""
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def conv(index: int, source: str) -> str:
        layer = network.convs[index - 1]
        name = f"conv{index}"
        weight = constant(f"{name}.weight", layer.weight.value.reshape(-1, layer.channels_in, 3, 3))
        nodes.append(
            helper.make_node("Conv", [source, weight], [f"{name}_raw"], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        )
        statistics = {
            "scale": layer.gamma.value,
            "bias": layer.beta.value,
            "mean": layer.running_mean,
            "var": layer.running_var,
        }
        inputs = [f"{name}_raw", *(constant(f"bn{index}.{key}", value) for key, value in statistics.items())]
        nodes.append(helper.make_node("BatchNormalization", inputs, [f"{name}_out"], f"bn{index}", epsilon=1e-5))
        return f"{name}_out"

    def node(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    relu1 = node("Relu", [conv(1, "image")], "relu1")
    relu2 = node("Relu", [conv(2, relu1)], "relu2")
    relu3 = node("Relu", [node("Add", [conv(3, relu2), relu1], "add")], "relu3")
    pool = node("MaxPool", [relu3], "pool", kernel_shape=[2, 2], strides=[2, 2])
    relu4 = node("Relu", [conv(4, pool)], "relu4")
    features = node("Flatten", [node("GlobalAveragePool", [relu4], "mean")], "features", axis=1)
    weight, bias = constant("fc.weight", network.weight.value), constant("fc.bias", network.bias.value)
    nodes.append(helper.make_node("Gemm", [features, weight, bias], ["logits"], "fc", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "digits", [image], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="fewbins examples")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    x_train, y_train, x_test, y_test = digits()
    network = train(x_train, y_train)
    accuracy = (network.forward(x_test).argmax(axis=1) == y_test).mean()
    onnx.save(to_onnx(network), OUTPUT)
    print(f"accuracy on the {len(x_test)} test images: {accuracy:.1%}")
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
