# SPDX-License-Identifier: Apache-2.0
"""Names that fewbins makes: never one that the network has already, and all made in one place (`graph.Names`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx_models import normal, parse
from random_graphs import random_model

import fewbins
from fewbins.errors import FewbinsWarning
from fewbins.graph import Graph, Names
from fewbins.graph.names import MAX_NAME_BYTES
from fewbins.importers import load_onnx
from fewbins.model_file import FileContents, read, to_bytes
from fewbins.quantize import prepare


def every_pass() -> onnx.ModelProto:
    """A network in which every pass, and the builder, has something to add."""
    text = (
        "(float[N,3,8,8] x) => (float[N,5] y, float[] z, float[] n) { "
        "[bn] n0 = BatchNormalization(x, g, b, m, v) [pad] p = Pad(n0, pads) "
        "[conv] c = Conv(p, w) [leaky] d = LeakyRelu(c) "
        "[wide] e = Conv(d, w2, b2) [split] e1, e2 = Split<axis = 1>(e) [c1] z1 = Conv(e1, w3) [c2] z2 = Conv(e2, w3) "
        "[scale] s = Mul(z1, factor) [shift] z = Add(s, term) [act] a = PRelu(z2, slope) [sig] h = Sigmoid(a) "
        "[add] i = Add(h, b3) [pool] j = GlobalAveragePool(i) [flat] k = Flatten(j) [fc] l = Gemm<transB = 1>(k, w4) "
        "[bn1] q = BatchNormalization(l, g5, g5, g5, g5) [soft] y = Softmax(q) [low] n = Relu(n0) }"
    )
    one = np.abs(normal(3)) + 1
    quiet = np.concatenate([50 * normal(4, 4, 3, 3), normal(4, 4, 3, 3)])
    return parse(
        text,
        11,
        {"g": one, "b": normal(3), "m": normal(3), "v": one, "pads": np.int64([0, 0, 1, 1, 0, 0, 1, 1])}
        | {"w": normal(4, 3, 3, 3), "w2": quiet, "b2": normal(8), "w3": normal(4, 4, 1, 1)}
        | {"factor": normal(4, 1, 1), "term": normal(4, 1, 1), "slope": normal(4, 1, 1), "b3": normal(1, 4, 6, 6)}
        | {"w4": normal(5, 4), "g5": np.abs(normal(5)) + 1},
    )


def signal() -> onnx.ModelProto:
    """One dimension, which has Reshapes of its own and a pass that moves them."""
    text = (
        "(float[N,3,16] x) => (float[] y) { [one] a = Conv(x, w, b) [act] r = Relu(a) [sum] s = Add(r, term) "
        "[two] y = Conv(s, w2) }"
    )
    return parse(text, 17, {"w": normal(4, 3, 3), "b": normal(4), "term": normal(4, 1), "w2": normal(4, 4, 3)})


def names_of_file(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    found = {tensor.name for tensor in graph.initializer} | {info.name for info in (*graph.input, *graph.output)}
    for index, node in enumerate(graph.node):
        found |= {node.name or f"{node.op_type}_{index}", *node.output}
    return found


def names_of_graph(graph: Graph) -> set[str]:
    return {*graph.tensors, *(node.name for node in graph.nodes)}


def models() -> Iterator[tuple[onnx.ModelProto, dict[str, np.ndarray]]]:
    yield every_pass(), {"x": normal(4, 3, 8, 8)}
    yield signal(), {"x": normal(4, 3, 16)}
    for seed in range(4):
        made = random_model(seed)
        yield made.proto, made.feed(4, seed)


def test_every_name_is_the_files_own_or_comes_from_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    made: set[str] = set()

    def fresh(self: Names, wanted: str) -> str:
        made.add(name := f"#{len(made)}")
        return name

    monkeypatch.setattr(Names, "fresh", fresh)
    for model, feed in models():
        own = names_of_file(model)
        graph = load_onnx(model)
        assert names_of_graph(graph) <= own | made
        assert names_of_graph(prepare(graph)) <= own | made
        for scheme in ("8bit", "15x15,first=w255", "float"):
            quantized = fewbins.quantize(graph, feed, scheme=scheme).graph
            assert names_of_graph(quantized) <= own | made
    assert len(made) > 100


@pytest.mark.parametrize("scheme", ["float", "8bit", "15x15,last=w255"])
def test_a_network_that_uses_the_names_that_passes_want_keeps_its_values(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, asked = Names.fresh, dict[str, None]()

    def noted(self: Names, wanted: str) -> str:
        asked[wanted] = None
        return fresh(self, wanted)

    monkeypatch.setattr(Names, "fresh", noted)
    for model, feed in models():
        asked.clear()
        want = fewbins.Session(fewbins.quantize(load_onnx(model), feed, scheme=scheme)).run(feed)
        wanted = list(asked)
        # Each constant of the file takes, in turn, a name that a pass asked for.
        for start in range(0, len(wanted), max(1, len(model.graph.initializer))):
            got = fewbins.Session(fewbins.quantize(load_onnx(renamed(model, wanted[start:])), feed, scheme=scheme)).run(
                feed
            )
            for a, b in zip(arrays(want), arrays(got), strict=True):
                np.testing.assert_array_equal(a, b)


def arrays(result: object) -> list[np.ndarray]:
    return list(result.values()) if isinstance(result, dict) else [result]  # type: ignore[list-item]


def renamed(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The model with other names of its constants; nothing else changes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    free = [name for name in names if name not in names_of_file(model)]
    new = dict(zip([tensor.name for tensor in copy.graph.initializer], free, strict=False))
    for tensor in copy.graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    for node in copy.graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
    return copy


def test_layers_that_share_weights_keep_them_when_one_is_scaled_under_the_weights_name() -> None:
    text = (
        "(float[N,3,8,8] p3, float[N,3,8,8] p4) => (float[] y3, float[] y4) "
        "{ [one] t = Conv(p3, w, b) [head] y3 = Mul(t, factor) [two] y4 = Conv(p4, w, b) }"
    )
    model = parse(text, 17, {"w": normal(4, 3, 3, 3), "b": normal(4), "factor": np.float32(2.5)})
    feed = {"p3": normal(1, 3, 8, 8), "p4": normal(1, 3, 8, 8)}
    want = fewbins.Session(fewbins.quantize(load_onnx(model), scheme="float")).run(feed)
    clash = renamed(model, ["head/weight", "head/bias"])
    got = fewbins.Session(fewbins.quantize(load_onnx(clash), scheme="float")).run(feed)
    for name in ("y3", "y4"):
        np.testing.assert_array_equal(want[name], got[name])


@pytest.mark.parametrize(
    "name", ["__scales", "__pad0", "__metadata__", "conv/weight.scale", "w" * 5000, "\u00e9" * 900]
)
def test_names_that_a_model_file_cannot_hold_are_changed(name: str, tmp_path) -> None:
    text = "(float[N,3,8,8] x) => (float[] y) { [conv] t = Conv(x, w) y = Add(t, b) u = Relu(y) z = Add(u, b) }"
    model = parse(text, 17, {"w": normal(4, 3, 3, 3), "b": normal(1, 4, 6, 6)})
    model.graph.output[0].name = "z"
    x = normal(2, 3, 8, 8)
    want = fewbins.Session(fewbins.quantize(load_onnx(model), x)).run(x)
    clash = renamed(model, ["kept", name])
    for index, node in enumerate(clash.graph.node):
        node.name = node.name or f"{name}{index}"
    quantized = fewbins.quantize(load_onnx(clash), x)
    np.testing.assert_array_equal(fewbins.Session(quantized).run(x), want)
    path = tmp_path / "net.fewbins"
    quantized.save(path)
    again = read(path)
    assert max(len(each.encode()) for each in names_of_graph(again.graph)) <= MAX_NAME_BYTES
    assert to_bytes(again) == path.read_bytes()


def test_inputs_and_outputs_with_names_that_a_model_file_cannot_hold_get_others() -> None:
    model = parse("(float[N,3] x) => (float[] y) { y = Relu(x) }", 17)
    model.graph.input[0].name = model.graph.node[0].input[0] = "x" * 3000
    model.graph.output[0].name = model.graph.node[0].output[0] = "__scales"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = load_onnx(model)
    assert [warning.category for warning in caught] == [FewbinsWarning] * 2
    assert "cannot hold the name 'xxx" in str(caught[0].message)
    assert "the tensor is called '___scales'" in str(caught[1].message)
    assert graph.inputs == ("x" * 502 + "..." + "x" * 502,)
    assert graph.outputs == ("___scales",)
    fewbins.Session(to_bytes(FileContents(graph, "float"))).run(normal(1, 3))


def test_many_nodes_of_one_name_get_numbers_in_little_time() -> None:
    names = Names()
    made = [names.fresh("same") for _ in range(65_536)]
    assert len(set(made)) == len(made) and made[-1] == "same:65536"
